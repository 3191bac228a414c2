//! Noticing that a file changed, by looking at it once in a while.
//!
//! Sees what editors and Kubernetes do, who put another file in its place, and needs nothing of the system that a
//! network file system or a container might lack.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// A file at a moment; `None` when it was not there.
type Sight = Option<Stamp>;

/// What changes when a file is written, replaced, or reached by another link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Some files, and how they were when they were last read.
#[derive(Debug)]
pub struct FileWatch {
    files: Vec<PathBuf>,
    /// `None` when they may have changed between being read and being watched.
    read: Option<Vec<Sight>>,
    /// The latest look, when it differed.
    differs: Option<Vec<Sight>>,
}

impl FileWatch {
    /// Watches files that were read just now. As nobody looked at them before they were read, they count as changed
    /// once.
    pub const fn new(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            read: None,
            differs: None,
        }
    }

    /// Looks at them. Says once of every change that they have to be read, and only when two looks in a row saw the
    /// same, lest a file be read that is still being written.
    pub fn look(&mut self) -> bool {
        let seen = self.see();
        if self.read.as_ref() == Some(&seen) {
            self.differs = None;
            return false;
        }
        if self.differs.as_ref() == Some(&seen) {
            self.differs = None;
            self.read = Some(seen);
            return true;
        }
        self.differs = Some(seen);
        false
    }

    /// They are about to be read for another reason.
    pub fn about_to_read(&mut self) {
        self.differs = None;
        self.read = Some(self.see());
    }

    /// Watches these from now on, which were read just now.
    pub fn watch(&mut self, files: Vec<PathBuf>) {
        if self.files != files {
            *self = Self::new(files);
        }
    }

    /// The files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    fn see(&self) -> Vec<Sight> {
        let stamp = |path| std::fs::metadata(path).ok().as_ref().map(Stamp::of);
        self.files.iter().map(stamp).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Two files, read and watched.
    fn watched(directory: &tempfile::TempDir) -> (FileWatch, PathBuf, PathBuf) {
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        fs::write(&one, "1").unwrap();
        fs::write(&other, "2").unwrap();
        let mut watch = FileWatch::new(vec![one.clone(), other.clone()]);
        assert_eq!(looks(&mut watch), [false, true, false, false], "once, to be sure");
        (watch, one, other)
    }

    fn looks(watch: &mut FileWatch) -> [bool; 4] {
        std::array::from_fn(|_| watch.look())
    }

    const NOTICED: [bool; 4] = [false, true, false, false];

    #[test]
    fn writing_replacing_removing_and_relinking_are_noticed_once() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, one, other) = watched(&directory);
        fs::write(&one, "3").unwrap();
        assert_eq!(looks(&mut watch), NOTICED, "written");
        let new = directory.path().join("new");
        fs::write(&new, "2").unwrap();
        fs::rename(&new, &other).unwrap();
        assert_eq!(looks(&mut watch), NOTICED, "replaced by the same text");
        fs::remove_file(&one).unwrap();
        assert_eq!(looks(&mut watch), NOTICED, "removed");
        fs::write(&one, "1").unwrap();
        assert_eq!(looks(&mut watch), NOTICED, "back");
        let kept = fs::metadata(&one).unwrap().modified().unwrap();
        fs::write(&one, "7").unwrap();
        fs::File::options()
            .write(true)
            .open(&one)
            .unwrap()
            .set_modified(kept)
            .unwrap();
        assert_eq!(looks(&mut watch), NOTICED, "written with the time set back");
    }

    #[test]
    fn a_volume_of_kubernetes_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let version = |name: &str, text: &str| {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("key"), text).unwrap();
            std::os::unix::fs::symlink(name, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        version("..v1", "1");
        std::os::unix::fs::symlink("..data/key", at("key")).unwrap();
        let mut watch = FileWatch::new(vec![at("key")]);
        looks(&mut watch);
        version("..v2", "2");
        assert_eq!(looks(&mut watch), NOTICED);
    }

    #[test]
    fn a_file_that_is_still_being_written_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, one, _) = watched(&directory);
        for length in 2..6 {
            fs::write(&one, "x".repeat(length)).unwrap();
            assert!(!watch.look());
        }
        assert!(watch.look());
    }

    #[test]
    fn what_was_read_for_another_reason_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, one, other) = watched(&directory);
        fs::write(&one, "changed").unwrap();
        assert!(!watch.look());
        watch.about_to_read();
        assert_eq!(looks(&mut watch), [false; 4]);
        watch.watch(vec![one.clone(), other]);
        assert_eq!(looks(&mut watch), [false; 4], "the same files");
        watch.watch(vec![one]);
        assert_eq!(looks(&mut watch), NOTICED, "other files");
    }
}
