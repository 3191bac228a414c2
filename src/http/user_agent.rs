//! Which browser and system a `User-Agent` field claims, in words that a person knows.
//!
//! For display only: anybody can send anything, so nothing may be decided by it. Names the common families and no
//! versions, which browsers freeze or falsify anyway; what it does not know it does not guess.

/// What a `User-Agent` says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The family of the browser, such as `Firefox`.
    pub browser: Option<&'static str>,
    /// The operating system, such as `Windows`.
    pub system: Option<&'static str>,
}

/// Marks of browsers. Those that also carry another's mark come before it.
const BROWSERS: &[(&str, &str)] = &[
    ("EdgiOS/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
];

/// Marks of systems, in the same order of precedence. An iPad may say that it is a Mac; then that is what is shown.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS ", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
];

/// Reads the text of a `User-Agent` field. Programs, which do not begin with `Mozilla/5.0 (` as every browser does, are
/// described by nothing: their own text says it best.
pub fn describe(text: &str) -> Described {
    let Some(rest) = text.strip_prefix("Mozilla/5.0 (") else {
        return Described {
            browser: None,
            system: None,
        };
    };
    let (platform, products) = rest.split_once(')').unwrap_or((rest, ""));
    // Crawlers call themselves so in the place of the platform, and carry a browser's marks as well.
    if platform.starts_with("compatible;") {
        return Described {
            browser: None,
            system: None,
        };
    }
    let named = |marks: &[(&str, &'static str)], text: &str| {
        let found = marks.iter().find(|(mark, _)| text.contains(mark));
        found.map(|(_, name)| *name)
    };
    // Only Safari has no mark of its own.
    let is_safari = || products.contains("Version/") && products.contains(" Safari/");
    Described {
        browser: named(BROWSERS, products).or_else(|| is_safari().then_some("Safari")),
        system: named(SYSTEMS, platform),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_are_named() {
        for (text, browser, system) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
                "Chrome",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "Safari",
                "macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari",
                "iOS",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0.0.0 Mobile/15E148 Safari/604.1",
                "Chrome",
                "iPadOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet",
                "Android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
                "Chrome",
                "ChromeOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox",
                "Linux",
            ),
        ] {
            let expected = Described {
                browser: Some(browser),
                system: Some(system),
            };
            assert_eq!(describe(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let nothing = Described {
            browser: None,
            system: None,
        };
        for text in [
            "",
            "curl/8.14.1",
            "Firefox/140.0 on Windows",
            "Mozilla/5.0",
            "Mozilla/5.0 (",
            "Mozilla/5.0 (compatible; Googlebot/2.1) Chrome/138.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Haiku x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        ] {
            assert_eq!(describe(text), nothing, "{text:?}");
        }
        let half = describe("Mozilla/5.0 (Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko)");
        assert_eq!((half.browser, half.system), (None, Some("Linux")));
    }
}
