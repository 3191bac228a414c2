//! What the process asks of the system before it serves.
//!
//! A core dump would hold session keys and tokens, and each proxied connection takes two descriptors where the
//! usual soft limit is 1,024. Neither is worth refusing to start over.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps and reading of this process's memory by others of the same user, and raises the number of
/// open files to what the system allows.
pub(super) fn prepare() {
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let refused = [
        setrlimit(Resource::Core, no_core).is_err(),
        set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err(),
    ];
    if refused.contains(&true) {
        tracing::warn!("core dumps could not be forbidden; one would hold session keys");
    }
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    if files.current != files.maximum && setrlimit(Resource::Nofile, all).is_err() {
        tracing::warn!("the number of open files could not be raised");
    }
}
