//! Bearer tokens against the stand-in for Logto.
