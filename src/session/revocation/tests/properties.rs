//! Any notices in any order, held against the plain reading of what each of them says.

use super::*;
use proptest::prelude::*;

const SUBJECTS: [&str; 3] = ["admin", "plain", "other"];
const SIDS: [&str; 3] = ["s", "t", "u"];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    id: u8,
    sid: Option<usize>,
    subject: usize,
    signed_in_at: u64,
    checked_at: u64,
}

impl Sample {
    fn marks(&self) -> Marks<'static> {
        Marks {
            id: id(self.id),
            sid: self.sid.map(|index| SIDS[index]),
            subject: SUBJECTS[self.subject],
            signed_in_at: UnixSeconds::new(self.signed_in_at),
        }
    }

    /// What one notice says of it, read word for word.
    fn is_meant_by(&self, notice: &Notice) -> bool {
        let ends = matches!(notice.effect, Effect::End(_));
        let time = if ends { self.signed_in_at } else { self.checked_at };
        let in_time = UnixSeconds::new(time) <= notice.at;
        match &notice.scope {
            Scope::Session(named) => *named == id(self.id) && (ends || in_time),
            Scope::LogtoSession(named) => {
                self.sid.is_some_and(|index| SIDS[index] == named) && (ends || in_time)
            }
            Scope::Subject { subject, except } => {
                let spared = ends && *except == Some(id(self.id));
                subject == SUBJECTS[self.subject] && in_time && !spared
            }
            Scope::Everyone => in_time,
        }
    }

    fn verdicts(&self, revocations: &Revocations) -> (bool, bool) {
        let checked_at = UnixSeconds::new(self.checked_at);
        let marks = self.marks();
        (
            revocations.ended(&marks).is_some(),
            revocations.recheck_due(&marks, checked_at),
        )
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        4 => (0..6_u8).prop_map(|number| Scope::Session(id(number))),
        4 => prop::sample::select(&SIDS).prop_map(|sid| Scope::LogtoSession(sid.to_owned())),
        6 => (prop::sample::select(&SUBJECTS), prop::option::of(0..6_u8)).prop_map(|(subject, except)| {
            Scope::Subject { subject: subject.to_owned(), except: except.map(id) }
        }),
        1 => Just(Scope::Everyone),
    ]
}

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![
        2 => prop::sample::select(&[Cause::SignOut, Cause::Deleted, Cause::SessionsPage]).prop_map(Effect::End),
        1 => Just(Effect::Recheck),
    ]
}

fn notices() -> impl Strategy<Value = Vec<Notice>> {
    let notice = (scopes(), effects(), 0..12_u64, 20..30_u64).prop_map(|(scope, effect, at, until)| {
        // Everyone at a late moment would drown what the others say.
        let at = if scope == Scope::Everyone { at / 4 } else { at };
        Notice {
            scope,
            effect,
            at: UnixSeconds::new(at),
            until: UnixSeconds::new(until),
        }
    });
    prop::collection::vec(notice, 0..24)
}

/// The same notices in another order, some of them twice.
fn orders() -> impl Strategy<Value = (Vec<Notice>, Vec<Notice>)> {
    notices().prop_flat_map(|notices| {
        let again = prop::sample::subsequence(notices.clone(), 0..=notices.len());
        let shuffled = again
            .prop_map({
                let notices = notices.clone();
                move |again| [notices.clone(), again].concat()
            })
            .prop_shuffle();
        (Just(notices), shuffled)
    })
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (
        0..6_u8,
        prop::option::of(0..3_usize),
        0..3_usize,
        0..14_u64,
        0..14_u64,
    )
        .prop_map(|(id, sid, subject, signed_in_at, checked_at)| Sample {
            id,
            sid,
            subject,
            signed_in_at,
            checked_at,
        });
    prop::collection::vec(sample, 1..30)
}

proptest! {
    #[test]
    fn the_set_says_what_its_notices_say((notices, shuffled) in orders(), samples in samples()) {
        for order in [&notices, &shuffled] {
            let revocations = set(100, order);
            for sample in &samples {
                let meant = |ends: bool| notices.iter().any(|notice| {
                    matches!(notice.effect, Effect::End(_)) == ends && sample.is_meant_by(notice)
                });
                prop_assert_eq!(sample.verdicts(&revocations), (meant(true), meant(false)), "{:?}", sample);
            }
        }
    }

    #[test]
    fn any_order_makes_the_same_set((notices, shuffled) in orders()) {
        let revocations = set(100, &notices);
        prop_assert_eq!(revocations.notices(), set(100, &shuffled).notices());
        for notice in &notices {
            prop_assert!(!revocations.apply(notice), "{:?}", notice);
        }
    }

    #[test]
    fn its_own_notices_make_the_same_set(notices in notices(), most in 0..20_usize) {
        let revocations = set(most, &notices);
        let again = set(most, &revocations.notices());
        prop_assert_eq!(revocations.notices(), again.notices());
    }

    #[test]
    fn a_full_set_says_the_same_in_any_order((notices, shuffled) in orders(), samples in samples(), most in 0..10_usize) {
        let (one, other) = (set(most, &notices), set(most, &shuffled));
        prop_assert_eq!(one.len(), other.len());
        for sample in &samples {
            prop_assert_eq!(sample.verdicts(&one), sample.verdicts(&other), "{:?}", sample);
        }
    }

    #[test]
    fn nothing_that_was_ended_comes_back_when_the_set_is_full(
        (_, shuffled) in orders(),
        mut samples in samples(),
        most in 0..10_usize,
    ) {
        // A session that is named was signed in before that could be learnt.
        for sample in &mut samples {
            for notice in &shuffled {
                let named = matches!(notice.scope, Scope::Session(_) | Scope::LogtoSession(_));
                if named && sample.is_meant_by(notice) {
                    sample.signed_in_at = sample.signed_in_at.min(notice.at.as_u64());
                }
            }
        }
        let revocations = Revocations::new(most);
        for (index, notice) in shuffled.iter().enumerate() {
            revocations.apply(notice);
            prop_assert!(revocations.len() <= most);
            for sample in &samples {
                for earlier in &shuffled[..=index] {
                    let (ended, due) = sample.verdicts(&revocations);
                    let holds = if matches!(earlier.effect, Effect::Recheck) { due } else { ended };
                    prop_assert!(holds || !sample.is_meant_by(earlier), "{:?} {:?}", sample, earlier);
                }
            }
        }
    }

    #[test]
    fn a_full_set_ends_no_more_than_it_must((_, shuffled) in orders(), samples in samples(), most in 0..10_usize) {
        // Each name's latest ending; those beyond the most are what was dropped.
        let mut latest = std::collections::BTreeMap::new();
        for notice in &shuffled {
            if let (Effect::End(_), Some(name)) = (notice.effect, named(&notice.scope)) {
                let at = latest.entry(name).or_insert(notice.at);
                *at = notice.at.max(*at);
            }
        }
        let mut moments: Vec<UnixSeconds> = latest.into_values().collect();
        moments.sort_unstable_by(|left, right| right.cmp(left));
        let dropped = moments.get(most).copied();
        let revocations = set(most, &shuffled);
        for sample in &samples {
            let meant = shuffled.iter().any(|notice| {
                matches!(notice.effect, Effect::End(_)) && sample.is_meant_by(notice)
            });
            let must = meant || dropped.is_some_and(|at| UnixSeconds::new(sample.signed_in_at) <= at);
            prop_assert!(must || revocations.ended(&sample.marks()).is_none(), "{:?}", sample);
        }
    }

    #[test]
    fn what_is_forgotten_is_over((notices, _) in orders(), samples in samples(), now in 18..32_u64) {
        let now = UnixSeconds::new(now);
        let revocations = set(100, &notices);
        revocations.forget_expired(now);
        let left: Vec<Notice> = notices.into_iter().filter(|notice| now < notice.until).collect();
        for sample in &samples {
            let meant = left.iter().any(|notice| {
                matches!(notice.effect, Effect::End(_)) && sample.is_meant_by(notice)
            });
            prop_assert!(!meant || revocations.ended(&sample.marks()).is_some(), "{:?}", sample);
        }
    }
}
