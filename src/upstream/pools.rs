//! The upstreams of one configuration, and a worker's pool for each of them.

use super::{Pool, Settings};
use crate::tasks::Tasks;
use std::sync::Arc;

/// Every upstream that requests may go to, no two alike. The first is the one of whatever no route says otherwise for.
#[derive(Debug)]
pub struct Upstreams {
    first: Arc<Settings>,
    others: Vec<Arc<Settings>>,
}

/// Which of the [`Upstreams`] that it was taken from. The default is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpstreamId(usize);

impl Upstreams {
    /// With one upstream.
    pub fn new(first: Settings) -> Self {
        Self {
            first: Arc::new(first),
            others: Vec::new(),
        }
    }

    /// The upstream of these settings; a further one unless it is there.
    pub fn add(&mut self, settings: Settings) -> UpstreamId {
        let known = self.iter().position(|known| **known == settings);
        UpstreamId(known.unwrap_or_else(|| {
            self.others.push(Arc::new(settings));
            self.others.len()
        }))
    }

    /// The same ones in the allocations of those before, by which pools are known.
    pub fn after(mut self, before: &Arc<Self>) -> Arc<Self> {
        let mut moved = false;
        let mut earlier = before.iter();
        for settings in std::iter::once(&mut self.first).chain(&mut self.others) {
            moved |= earlier.next().is_none_or(|earlier| *earlier != *settings);
            if let Some(known) = before.iter().find(|known| *known == settings) {
                *settings = Arc::clone(known);
            }
        }
        if moved || earlier.next().is_some() {
            Arc::new(self)
        } else {
            Arc::clone(before)
        }
    }

    /// How one of them is reached.
    pub fn of(&self, id: UpstreamId) -> &Settings {
        self.iter().nth(id.0).unwrap_or(&self.first)
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Settings>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A pool for each upstream. Clones share them.
///
/// One a worker, as [`Pool`] is.
#[derive(Debug, Clone)]
pub struct Pools(Arc<Made>);

#[derive(Debug)]
struct Made {
    upstreams: Arc<Upstreams>,
    first: Pool,
    others: Box<[Pool]>,
}

impl Pools {
    /// Pools without connections yet. Their background work is counted in `tasks`.
    pub fn new(upstreams: &Arc<Upstreams>, tasks: &Tasks) -> Self {
        Self::made(upstreams, |settings| {
            Pool::new(Arc::clone(settings), tasks.clone())
        })
    }

    /// Those for the upstreams that come after: a pool whose upstream is still there goes on, any other is shut down.
    /// Whoever holds the former ones may go on using them.
    pub fn followed_by(&self, upstreams: &Arc<Upstreams>, tasks: &Tasks) -> Self {
        let next = Self::made(upstreams, |settings| {
            let known = self.iter().find(|pool| pool.is_made_from(settings));
            known.map_or_else(|| Pool::new(Arc::clone(settings), tasks.clone()), Pool::clone)
        });
        for pool in self.iter() {
            if !next
                .0
                .upstreams
                .iter()
                .any(|settings| pool.is_made_from(settings))
            {
                pool.shut_down();
            }
        }
        next
    }

    /// Whether they are made for these very upstreams.
    pub fn are_for(&self, upstreams: &Arc<Upstreams>) -> bool {
        Arc::ptr_eq(&self.0.upstreams, upstreams)
    }

    /// The pool of one of the upstreams that they were made for.
    pub fn of(&self, id: UpstreamId) -> &Pool {
        let other = id.0.checked_sub(1).and_then(|place| self.0.others.get(place));
        other.unwrap_or(&self.0.first)
    }

    fn made(upstreams: &Arc<Upstreams>, pool: impl Fn(&Arc<Settings>) -> Pool) -> Self {
        Self(Arc::new(Made {
            first: pool(&upstreams.first),
            others: upstreams.others.iter().map(&pool).collect(),
            upstreams: Arc::clone(upstreams),
        }))
    }

    fn iter(&self) -> impl Iterator<Item = &Pool> {
        std::iter::once(&self.0.first).chain(&self.0.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Address;

    fn at(port: u16) -> Settings {
        Settings::new(Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port,
        })
    }

    fn upstreams(ports: &[u16]) -> Upstreams {
        let (first, others) = ports.split_first().unwrap();
        let mut upstreams = Upstreams::new(at(*first));
        for port in others {
            upstreams.add(at(*port));
        }
        upstreams
    }

    #[test]
    fn upstreams_of_the_same_settings_are_one() {
        let mut upstreams = upstreams(&[1, 2]);
        assert_eq!(upstreams.add(at(1)), UpstreamId(0));
        assert_eq!(upstreams.add(at(2)), UpstreamId(1));
        assert_eq!(upstreams.add(at(3)), UpstreamId(2));
        assert_eq!(*upstreams.of(UpstreamId(1)), at(2));
        let mut slow = at(2);
        slow.response_header_timeout *= 2;
        assert_eq!(upstreams.add(slow), UpstreamId(3));
    }

    #[test]
    fn what_stays_keeps_its_pool_whatever_its_place() {
        let tasks = Tasks::new();
        let before = Arc::new(upstreams(&[1, 2, 3]));
        let pools = Pools::new(&before, &tasks);
        let after = upstreams(&[3, 4, 1]).after(&before);
        assert!(!pools.are_for(&after));
        let next = pools.followed_by(&after, &tasks);
        assert!(next.are_for(&after));
        for (place, port) in [3, 4, 1].into_iter().enumerate() {
            let pool = next.of(UpstreamId(place));
            assert_eq!(*after.of(UpstreamId(place)), at(port));
            let kept = pools
                .iter()
                .any(|old| old.is_made_from(after.iter().nth(place).unwrap()));
            assert_eq!(kept, port != 4);
            assert!(pool.is_made_from(after.iter().nth(place).unwrap()));
        }
    }

    #[test]
    fn the_same_upstreams_are_the_same_allocation() {
        let before = Arc::new(upstreams(&[1, 2]));
        assert!(Arc::ptr_eq(&upstreams(&[1, 2]).after(&before), &before));
        for others in [&[1][..], &[2, 1], &[1, 2, 3]] {
            assert!(
                !Arc::ptr_eq(&upstreams(others).after(&before), &before),
                "{others:?}"
            );
        }
    }
}
