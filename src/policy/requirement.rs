//! What an access table asks of a caller: conditions, all of which must hold.

use super::caller::Caller;
use super::check::Why;
use super::condition::Condition;
use crate::identity::ClaimPath;
use std::fmt;
use std::net::IpAddr;

/// Conditions that must all hold. Whoever is nobody fulfils none.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    conditions: Vec<Condition>,
    reads_claims: bool,
}

/// A condition that does not hold, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Unmet<'a> {
    /// Which one.
    pub condition: &'a Condition,
    /// Why.
    pub why: Why,
}

impl Requirement {
    /// These conditions; `None` when there is none, since nothing may be opened by an oversight.
    pub fn new(conditions: Vec<Condition>) -> Option<Self> {
        let reads_claims = conditions
            .iter()
            .any(|condition| !condition.needed_claims().is_empty());
        (!conditions.is_empty()).then_some(Self {
            conditions,
            reads_claims,
        })
    }

    /// The conditions, in the order in which they are looked at.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether claims matter to it.
    pub const fn reads_claims(&self) -> bool {
        self.reads_claims
    }

    /// The first condition that does not hold; `None` when all do.
    pub fn first_unmet<'a>(&'a self, caller: &Caller<'_>, address: Option<IpAddr>) -> Option<Unmet<'a>> {
        self.conditions.iter().find_map(|condition| {
            let why = condition.check(caller, address).err()?;
            Some(Unmet { condition, why })
        })
    }

    /// The claims that it reads.
    pub fn needed_claims(&self) -> Vec<ClaimPath> {
        self.conditions
            .iter()
            .flat_map(Condition::needed_claims)
            .collect()
    }
}

impl fmt::Display for Requirement {
    /// In words: `role "admin" or "editor"; member of organization "org_123"`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            condition.fmt(formatter)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn conditions_are_said_in_words() {
        let requirement = Requirement::new(vec![
            Condition::AnyRole(texts(&["admin", "editor", "owner"])),
            Condition::Organization("org_123".to_owned()),
            Condition::Ip(vec!["10.0.0.0/8".parse().unwrap()]),
            Condition::Claim {
                path: "custom_data.level".parse().unwrap(),
                any_of: vec![Value::from(7), Value::from("x"), Value::from(true)],
            },
        ]);
        assert_eq!(
            requirement.unwrap().to_string(),
            "role \"admin\", \"editor\" or \"owner\"; member of organization \"org_123\"; address in 10.0.0.0/8; \
             claim custom_data.level is 7, \"x\" or true"
        );
        let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        assert_eq!(
            Condition::Sub(many).to_string(),
            "ID \"0\", \"1\", \"2\", \"3\", \"4\" or 495 more"
        );
        assert_eq!(Requirement::new(Vec::new()), None);
    }
}
