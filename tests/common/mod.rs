//! The harness of [`shadegrad::verify`] with assertions: cases run on the test device and on the CPU, in every form,
//! and a finding is a panic.
#![allow(dead_code, unused_imports, reason = "each test that includes it uses a part")]

pub mod inspect;
pub mod joined;
pub mod kernels;

use shadegrad::fast::{Instructions, Team};
use shadegrad::gpu::{AdapterChoice, Dispatch, Gpu, Recording};
use shadegrad::ops::{KernelConfig, Step, edge_cases};
use shadegrad::verify::{self, Expected};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

pub use shadegrad::verify::{Case, Output, U, Values, dot_bound, integers, mirrored, plain, random};

/// The test device: `$SHADEGRAD_TEST_DEVICE` (a part of a name), or the default of `auto`.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| match pollster::block_on(Gpu::open(&adapter(), Step::FIELDS)) {
        Ok(Some(opened)) => opened.gpu,
        Ok(None) => panic!("no GPU driver: {}", shadegrad::gpu::missing_driver_remedy()),
        Err(error) => panic!("{error}"),
    })
}

/// The adapter of [`gpu`].
pub fn adapter() -> AdapterChoice {
    std::env::var("SHADEGRAD_TEST_DEVICE").map_or(AdapterChoice::Auto, AdapterChoice::Name)
}

/// The CPU's variants: all of its instruction sets, with several numbers of threads for each. Their workspaces are
/// reused from case to case, as they are from pass to pass.
pub fn teams() -> &'static [(String, Arc<Team>)] {
    static TEAMS: OnceLock<Vec<(String, Arc<Team>)>> = OnceLock::new();
    TEAMS.get_or_init(|| {
        let all = Instructions::all().into_iter().flat_map(|instructions| [1, 2, 5].map(|n| (instructions, n)));
        let team = |(instructions, threads)| {
            let team = Team::new(Some(threads), instructions).unwrap();
            (team.description(), Arc::new(team))
        };
        all.map(team).collect()
    })
}

/// The kernel configurations that tests use on the GPU.
pub fn variants() -> Vec<KernelConfig> {
    verify::every_form(gpu())
}

/// A [`Case`] with assertions.
pub trait Asserts {
    /// Runs on the GPU in one variant. Fails if a guard or an input has changed, or if a second run gives different
    /// bits.
    fn run(&self, config: &KernelConfig) -> Vec<Output>;
    /// Like `run`, but `tamper` changes the recording first, so that tests can provoke failures.
    fn run_tampered(&self, config: &KernelConfig, tamper: impl FnOnce(&mut Recording)) -> Vec<Output>;
    /// Runs every variant, on the GPU and on the CPU, whose bits must not depend on the number of threads.
    fn run_everywhere(&self) -> Vec<(String, Vec<Output>)>;
    /// Runs every variant and compares with the expected results.
    fn check(&self, expected: &Expected);
    /// Compares the results of one variant.
    fn judge(&self, variant: &str, got: &[Output], expected: &Expected);
}

impl Asserts for Case {
    fn run(&self, config: &KernelConfig) -> Vec<Output> {
        self.run_tampered(config, |_| ())
    }

    fn run_tampered(&self, config: &KernelConfig, tamper: impl FnOnce(&mut Recording)) -> Vec<Output> {
        let mut recording = self.recording(config).unwrap();
        tamper(&mut recording);
        let outcome = pollster::block_on(self.on_gpu(gpu(), recording));
        outcome.unwrap_or_else(|finding| panic!("{} {config}: {finding}", self.name()))
    }

    fn run_everywhere(&self) -> Vec<(String, Vec<Output>)> {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        for config in variants() {
            // Many passes have the same kernels in several variants.
            let recording = self.recording(&config).unwrap();
            let dispatch =
                |d: &Dispatch| format!("{} {:?} {:?} {:?}", d.kernel.text().unwrap(), d.groups, d.reads, d.writes);
            if seen.insert(recording.dispatches().map(dispatch).collect::<String>()) {
                all.push((config.to_string(), self.run(&config)));
            }
        }
        let mut one_thread = Vec::new();
        for (variant, team) in teams() {
            let got = self.on_cpu(team).unwrap();
            if team.threads() == 1 {
                one_thread = got.clone();
            }
            for (got, one) in got.iter().zip(&one_thread) {
                assert!(
                    got.bits == one.bits,
                    "{} {variant}: {} depends on the number of threads",
                    self.name(),
                    got.name
                );
            }
            all.push((variant.clone(), got));
        }
        all
    }

    fn check(&self, expected: &Expected) {
        for (variant, got) in self.run_everywhere() {
            self.judge(&variant, &got, expected);
        }
    }

    fn judge(&self, variant: &str, got: &[Output], expected: &Expected) {
        match expected.judge(got) {
            Ok(worst) => println!("{} {variant}: worst error {worst:.3} of its bound", self.name()),
            Err(finding) => panic!("{} {variant}: {finding}", self.name()),
        }
    }
}

/// Checks every case of a pass at every edge-case shape, in every variant.
pub fn agrees(pass: &str) {
    let mut cases = 0;
    for op in edge_cases().into_iter().filter(|op| op.name() == pass) {
        for check in op.checks() {
            println!("{op:?}, {}", check.what);
            check.case.check(&check.expected);
            cases += 1;
        }
    }
    assert!(cases >= 6, "only {cases} cases of {pass}");
}

/// Fails unless every |got - expected| <= bound; any NaN fails. Prints the worst error relative to its bound.
pub fn compare(what: &str, got: &[f64], expected: &[f64], bound: &[f64]) {
    match verify::compare(what, got, expected, bound) {
        Ok(worst) => println!("{what}: worst error {worst:.3} of its bound"),
        Err(finding) => panic!("{finding}"),
    }
}
