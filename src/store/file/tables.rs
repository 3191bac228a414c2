//! What stands where in the file.
//!
//! The tables of each namespace are apart, so that a file that served another application, or other settings of this one,
//! serves both.

use crate::clock::UnixSeconds;
use crate::session::{Notice, SessionId};
use crate::store::published::Published;
use crate::store::records::SessionRecord;
use redb::{
    Error, ReadableTable, ReadableTableMetadata, Table, TableDefinition, TableHandle, WriteTransaction,
};
use sha2::{Digest, Sha256};

/// The version of what is written here. A later one is refused, never guessed at.
const FORMAT: u64 = 1;
const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");

type Bytes = &'static [u8];
type Definition<'name> = TableDefinition<'name, Bytes, Bytes>;

/// The names of a namespace's tables.
pub(super) struct Tables {
    /// When a notice ends and its digest, to the notice as JSON: those that have ended stand first.
    notices: String,
    /// A session's id to its record as JSON.
    sessions: String,
    /// A session's id to when its result ends and the result.
    results: String,
    /// When the namespace was first written to.
    began: String,
}

/// All that a namespace holds.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) began: UnixSeconds,
    pub(super) notices: Vec<Notice>,
    pub(super) sessions: Vec<SessionRecord>,
    pub(super) results: Vec<(SessionId, Published, UnixSeconds)>,
}

/// Why the tables cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// A later version wrote them.
    #[error("written by a later version")]
    Newer,
    /// What stands there is not what is written here.
    #[error("{0}")]
    Unreadable(&'static str),
    /// What redb says.
    #[error(transparent)]
    Redb(Box<Error>),
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

impl Tables {
    pub(super) fn of(namespace: &str) -> Self {
        let name = |table: &str| format!("{namespace}/{table}");
        Self {
            notices: name("notices"),
            sessions: name("sessions"),
            results: name("results"),
            began: name("began"),
        }
    }

    /// Makes what is missing and reads the rest.
    pub(super) fn prepare(
        &self,
        transaction: &WriteTransaction,
        now: UnixSeconds,
    ) -> Result<Contents, Fault> {
        let mut about = transaction.open_table(ABOUT)?;
        let format = about.get("format")?.map(|format| format.value());
        match format {
            None => drop(about.insert("format", FORMAT)?),
            Some(FORMAT) => {}
            Some(_) => return Err(Fault::Newer),
        }
        let began = about.get(self.began.as_str())?.map(|began| began.value());
        let began = began.unwrap_or(now.as_u64());
        about.insert(self.began.as_str(), began)?;
        let mut contents = Contents {
            began: UnixSeconds::new(began),
            ..Contents::default()
        };
        let json = |_| Fault::Unreadable("an entry is no JSON that is known here");
        for entry in self.open(transaction, &self.notices)?.iter()? {
            let (_, notice) = entry?;
            contents
                .notices
                .push(serde_json::from_slice(notice.value()).map_err(json)?);
        }
        for entry in self.open(transaction, &self.sessions)?.iter()? {
            let (_, record) = entry?;
            contents
                .sessions
                .push(serde_json::from_slice(record.value()).map_err(json)?);
        }
        for entry in self.open(transaction, &self.results)?.iter()? {
            let (id, result) = entry?;
            let session = <[u8; 16]>::try_from(id.value()).map(SessionId::from_bytes);
            let read =
                ends(result.value()).and_then(|(until, rest)| Some((until, Published::from_bytes(rest)?)));
            let (Ok(session), Some((until, result))) = (session, read) else {
                return Err(Fault::Unreadable("the result of a re-check has another shape"));
            };
            contents.results.push((session, result, until));
        }
        Ok(contents)
    }

    pub(super) fn put_notices<'notice>(
        &self,
        transaction: &WriteTransaction,
        notices: impl IntoIterator<Item = &'notice Notice>,
    ) -> Result<(), Fault> {
        let mut table = self.open(transaction, &self.notices)?;
        for notice in notices {
            let json = serde_json::to_vec(notice).map_err(|_| Fault::Unreadable("a notice is no JSON"))?;
            let mut key = notice.until.as_u64().to_be_bytes().to_vec();
            key.extend_from_slice(&Sha256::digest(&json));
            table.insert(key.as_slice(), json.as_slice())?;
        }
        Ok(())
    }

    /// How many notices there are.
    pub(super) fn count_notices(&self, transaction: &WriteTransaction) -> Result<u64, Fault> {
        Ok(self.open(transaction, &self.notices)?.len()?)
    }

    /// Puts these notices in place of all that there are.
    pub(super) fn replace_notices(
        &self,
        transaction: &WriteTransaction,
        notices: &[Notice],
    ) -> Result<(), Fault> {
        self.open(transaction, &self.notices)?.retain(|_, _| false)?;
        self.put_notices(transaction, notices)
    }

    pub(super) fn put_session(
        &self,
        transaction: &WriteTransaction,
        record: &SessionRecord,
    ) -> Result<(), Fault> {
        let json = serde_json::to_vec(record).map_err(|_| Fault::Unreadable("a session is no JSON"))?;
        let mut table = self.open(transaction, &self.sessions)?;
        table.insert(record.id.as_bytes().as_slice(), json.as_slice())?;
        Ok(())
    }

    pub(super) fn remove_session(&self, transaction: &WriteTransaction, id: SessionId) -> Result<(), Fault> {
        let mut table = self.open(transaction, &self.sessions)?;
        table.remove(id.as_bytes().as_slice())?;
        Ok(())
    }

    pub(super) fn put_result(
        &self,
        transaction: &WriteTransaction,
        session: SessionId,
        result: &Published,
        until: UnixSeconds,
    ) -> Result<(), Fault> {
        let mut bytes = until.as_u64().to_be_bytes().to_vec();
        bytes.extend_from_slice(&result.to_bytes());
        let mut table = self.open(transaction, &self.results)?;
        table.insert(session.as_bytes().as_slice(), bytes.as_slice())?;
        Ok(())
    }

    fn open<'txn>(
        &self,
        transaction: &'txn WriteTransaction,
        name: &str,
    ) -> Result<Table<'txn, Bytes, Bytes>, Fault> {
        Ok(transaction.open_table(Definition::new(name))?)
    }
}

/// Deletes what has expired, of every namespace.
pub(super) fn forget_expired(transaction: &WriteTransaction, now: UnixSeconds) -> Result<(), Fault> {
    let names: Vec<String> = transaction
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    let end = now.as_u64().to_be_bytes();
    for name in names {
        match name.rsplit('/').next() {
            Some("notices") => {
                let mut table = transaction.open_table(Definition::new(&name))?;
                table.retain_in(..end.as_slice(), |_, _| false)?;
            }
            Some("sessions") => {
                let mut table = transaction.open_table(Definition::new(&name))?;
                table.retain(|_, record| {
                    serde_json::from_slice::<SessionRecord>(record)
                        .is_ok_and(|record| now < record.expires_at)
                })?;
            }
            Some("results") => {
                let mut table = transaction.open_table(Definition::new(&name))?;
                table.retain(|_, result| ends(result).is_some_and(|(until, _)| now < until))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// When a result ends, and the rest of it.
fn ends(bytes: &[u8]) -> Option<(UnixSeconds, &[u8])> {
    let (until, rest) = bytes.split_first_chunk::<8>()?;
    Some((UnixSeconds::new(u64::from_be_bytes(*until)), rest))
}
