//! Runs the scenarios one after the other, each under a time limit, and reports in the words of cargo's own test runner.
//!
//! Own instead of the standard one for two reasons: a run that is left out must say so aloud, and browsers started side
//! by side on two cores disturb each other's timing. Scenarios that mostly wait for real time to pass run side by side, before
//! all others.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use logto_proxy::clock::monotonic;

/// No scenario needs a tenth of this; it only ends one that hangs.
const SCENARIO_LIMIT: Duration = Duration::from_secs(180);

type Body = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The scenarios of this binary, in the order they were added.
pub struct Scenarios(Vec<Scenario>);

struct Scenario {
    name: String,
    /// Whether it mostly waits.
    patient: bool,
    limit: Duration,
    body: Body,
}

impl Scenarios {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a scenario. It passes when it returns and fails when it panics or takes too long.
    pub fn add<F>(&mut self, name: impl Into<String>, scenario: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.push(name.into(), false, SCENARIO_LIMIT, scenario);
    }

    /// Adds one that mostly waits, and measures nothing that others running beside it could disturb.
    pub fn add_patient<F>(&mut self, name: impl Into<String>, scenario: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.push(name.into(), true, SCENARIO_LIMIT, scenario);
    }

    /// The same for one that takes this long by its nature.
    pub fn add_lasting<F>(
        &mut self,
        name: impl Into<String>,
        lasts: Duration,
        scenario: impl FnOnce() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.push(name.into(), true, SCENARIO_LIMIT + lasts, scenario);
    }

    fn push<F>(
        &mut self,
        name: String,
        patient: bool,
        limit: Duration,
        scenario: impl FnOnce() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let body: Body = Box::new(move || Box::pin(scenario()));
        self.0.push(Scenario {
            name,
            patient,
            limit,
            body,
        });
    }

    /// Runs all, or those whose names contain the words given on the command line.
    pub fn run(self) -> ExitCode {
        let (options, words): (Vec<String>, Vec<String>) = std::env::args()
            .skip(1)
            .partition(|argument| argument.starts_with('-'));
        let total = self.0.len();
        let chosen: Vec<_> = self
            .0
            .into_iter()
            .filter(|Scenario { name, .. }| words.is_empty() || words.iter().any(|word| name.contains(word)))
            .collect();
        if options.iter().any(|option| option == "--list") {
            for Scenario { name, .. } in &chosen {
                println!("{name}: test");
            }
            return ExitCode::SUCCESS;
        }
        println!("\nrunning {} tests", chosen.len());
        if std::env::var_os("LOGTO_PROXY_INTEROP").is_none_or(|value| value != "1") {
            for Scenario { name, .. } in &chosen {
                println!(
                    "test {name} ... ignored, needs Node.js and Chromium: run tests/run, or set LOGTO_PROXY_INTEROP=1"
                );
            }
            println!(
                "\ntest result: ok. 0 passed; 0 failed; {} ignored; 0 measured; {} filtered out\n",
                chosen.len(),
                total - chosen.len()
            );
            return ExitCode::SUCCESS;
        }
        let filtered = total - chosen.len();
        let mut passed = 0;
        let mut failed = Vec::new();
        let mut note = |name: String, ok: bool| {
            if ok { passed += 1 } else { failed.push(name) }
        };
        let (patient, others): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|scenario| scenario.patient);
        let side_by_side: Vec<_> = patient
            .into_iter()
            .map(|scenario| std::thread::spawn(move || scenario.report()))
            .collect();
        for thread in side_by_side {
            let (name, ok) = thread.join().expect("a report does not panic");
            note(name, ok);
        }
        for scenario in others {
            let (name, ok) = scenario.report();
            note(name, ok);
        }
        if !failed.is_empty() {
            println!("\nfailures:\n    {}", failed.join("\n    "));
        }
        println!(
            "\ntest result: {}. {passed} passed; {} failed; 0 ignored; 0 measured; {filtered} filtered out\n",
            if failed.is_empty() { "ok" } else { "FAILED" },
            failed.len()
        );
        if failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl Scenario {
    /// Runs it and prints how it went; its name and whether it passed.
    fn report(self) -> (String, bool) {
        let Self {
            name, limit, body, ..
        } = self;
        let started = monotonic();
        let outcome = run_one(body, limit);
        let seconds = (monotonic() - started).as_secs_f32();
        match &outcome {
            Ok(()) => println!("test {name} ... ok ({seconds:.1} s)"),
            Err(reason) => println!("test {name} ... FAILED ({seconds:.1} s): {reason}"),
        }
        (name, outcome.is_ok())
    }
}

/// Each scenario gets a runtime of its own, so that nothing it started survives into the next.
fn run_one(scenario: Body, limit: Duration) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let outcome = runtime.block_on(async {
        let mut task = runtime.spawn(scenario());
        match tokio::time::timeout(limit, &mut task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.is_panic() => Err("see above".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                task.abort();
                let _ = task.await;
                Err(format!("still running after {} s", limit.as_secs()))
            }
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}
