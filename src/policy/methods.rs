//! The methods that a rule is limited to.

use std::fmt;

/// One or more methods. Case makes no difference: an app may not mind it either, and what one of them judges as GET the
/// other must not take for something else. GET covers HEAD, which tells no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Methods(Vec<String>);

impl Methods {
    /// These methods; `None` when there is none.
    pub fn new<'a>(methods: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut methods: Vec<String> = methods.into_iter().map(str::to_ascii_uppercase).collect();
        methods.sort_unstable();
        methods.dedup();
        (!methods.is_empty()).then_some(Self(methods))
    }

    /// Whether a request with this method is covered.
    pub fn covers(&self, method: &str) -> bool {
        let names = |wanted: &str| self.0.iter().any(|method| method.eq_ignore_ascii_case(wanted));
        names(method) || (method.eq_ignore_ascii_case("HEAD") && names("GET"))
    }

    /// A method that both cover.
    pub fn shared_with<'a>(&self, other: &'a Self) -> Option<&'a str> {
        let both = |method: &&String| self.covers(method);
        let shared = other.0.iter().find(both).map(String::as_str);
        shared.or_else(|| self.0.iter().any(|method| other.covers(method)).then_some("HEAD"))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(text: &str) -> Methods {
        Methods::new(text.split(',')).unwrap()
    }

    #[test]
    fn get_covers_head_and_case_makes_no_difference() {
        for (set, method, expected) in [
            ("GET", "GET", true),
            ("GET", "get", true),
            ("GET", "HEAD", true),
            ("HEAD", "GET", false),
            ("POST", "HEAD", false),
            ("POST,PUT", "PUT", true),
            ("POST", "POSTS", false),
        ] {
            assert_eq!(methods(set).covers(method), expected, "{set} {method}");
        }
        assert_eq!(methods("PUT,GET,PUT").to_string(), "GET,PUT");
        assert!(Methods::new([]).is_none());
    }

    #[test]
    fn an_overlap_is_found_from_both_sides() {
        for (left, right, shared) in [
            ("GET", "POST", None),
            ("GET,POST", "POST,PUT", Some("POST")),
            ("GET", "HEAD", Some("HEAD")),
            ("HEAD", "GET", Some("HEAD")),
        ] {
            assert_eq!(
                methods(left).shared_with(&methods(right)),
                shared,
                "{left} {right}"
            );
        }
    }
}
