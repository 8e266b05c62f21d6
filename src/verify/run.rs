//! The loop over all operations, shapes, operands and variants.

use super::expected::Finding;
use super::functions::functions;
use super::item::items;
use super::launch::Launch;
use super::only::{Only, Shape};
use super::report::{DeviceRecord, Report};
use super::results::Results;
use super::session::VerifySession;
use super::training;
use crate::clock::{self, Instant};
use crate::error::{Error, Result};
use crate::gpu::Recording;
use crate::known_bad::{KnownBad, KnownFault};
use crate::machine::DeviceChoice;
use crate::network::{CompileOptions, Network};
use crate::version;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// How much to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The first three edge cases of each pass, in the variants that the tuner may choose, and a few random shapes.
    Quick,
    /// All edge cases, in those variants and in every form with small tiles, and more random shapes.
    Standard,
    /// As [`Extent::Standard`], with ten times as many random shapes.
    Full,
}

/// Number of arguments that a function is tested with, by extent.
const SWEPT: [usize; 3] = [1 << 16, 1 << 20, 1 << 20];

/// Options of a verification.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The device to verify.
    pub device: DeviceChoice,
    /// How much to verify.
    pub extent: Extent,
    /// A network whose passes are verified at their own shapes, with the options that it is trained with.
    pub model: Option<(Network, CompileOptions)>,
    /// The part to verify; `None` for everything.
    pub only: Option<Only>,
    /// Number of random shapes over all passes; `None` for a number that suits the device and the extent.
    pub random_shapes: Option<usize>,
    /// Seed of the random shapes.
    pub seed: u64,
    /// The command line, for the report.
    pub command: String,
    /// The command line without the options that restrict it: the commands that repeat a case start with it.
    pub repeat: String,
    /// The folder of the tuner's cache, which holds the list of defects that were found.
    pub cache: Option<PathBuf>,
    /// Changes the dispatches of every case before they run, to provoke failures in tests.
    pub tamper: Option<fn(&mut Recording)>,
}

/// Progress of a verification.
#[derive(Clone, Copy, Debug)]
pub struct VerifyProgress<'a> {
    /// Parts done, out of [`VerifyProgress::total`].
    pub done: usize,
    /// Number of parts: operations with a shape, the training, and functions.
    pub total: usize,
    /// Name of the part that is verified next.
    pub name: &'a str,
}

/// Verifies a device. `observer` is called before each part and may stop the verification; the report then covers what
/// was done.
pub async fn verify(
    options: &VerifyOptions,
    observer: &mut dyn FnMut(VerifyProgress<'_>) -> ControlFlow<()>,
) -> Result<Report> {
    let started = Instant::now();
    let mut session = VerifySession::open(options).await?;
    let (items, mut notes) = items(options, session.random_shapes())?;
    let random_shapes = items.iter().filter(|item| matches!(item.shape, Shape::Random(_))).count();
    let named = |name: &str| options.only.as_ref().is_none_or(|only| only.takes(name));
    let functions: Vec<_> =
        functions().into_iter().filter(|f| session.device.gpu().is_some() && named(f.name)).collect();
    let trains = named("training");
    if items.is_empty() && functions.is_empty() && !trains {
        let only = options.only.as_ref().map_or("", |only| &only.name);
        return Err(Error::Usage(format!("nothing to verify on this device is called `{only}`")));
    }
    let device = DeviceRecord::of(&session.device);
    // Says that no GPU was found and that this is the CPU.
    notes.extend(session.device.notice.clone().filter(|_| session.device.gpu().is_none()));
    let mut results = Results::new(options, session.known.clone());
    let mut sweeps = Vec::new();
    let total = items.len() + usize::from(trains) + functions.len();
    let mut done = 0;
    let mut go_on = |name: &str| {
        done += 1;
        observer(VerifyProgress { done: done - 1, total, name }).is_continue()
    };
    let interrupted = 'walk: {
        for item in &items {
            if !go_on(&item.name) {
                break 'walk true;
            }
            session.verify(item, &mut results).await?;
        }
        if trains {
            if !go_on("training") {
                break 'walk true;
            }
            for task in training::tasks() {
                let outcome = task.check(&session.device, &task.steps()).await;
                let failed = matches!(outcome, Err(Finding::Device(_)));
                results.enter(("training", task.name), None, outcome, (task.network, "spots"), "training".into());
                if failed {
                    session.reopen().await?;
                }
            }
        }
        for function in &functions {
            if !go_on(function.name) {
                break 'walk true;
            }
            let Some(gpu) = session.device.gpu() else { continue };
            match function.sweep(gpu, SWEPT[options.extent as usize]).await {
                Ok(sweep) => sweeps.push(sweep),
                Err(error) => {
                    sweeps.push(function.failed(&error));
                    session.reopen().await?;
                }
            }
        }
        false
    };
    notes.extend(results.notes());
    if let (Some(gpu), Some(folder)) = (session.device.gpu(), &options.cache) {
        // Only a complete verification can clear entries of kernels that work again.
        let whole = options.extent != Extent::Quick && options.only.is_none() && !interrupted;
        let found: Vec<KnownFault> =
            results.found().map(|(launch, why)| KnownFault::found(gpu, launch, why.to_string())).collect();
        let cleared: Vec<Launch> = if whole { results.right().cloned().collect() } else { Vec::new() };
        if KnownBad::remember(folder, gpu, &found, &cleared)? {
            let path = KnownBad::path(folder);
            notes.push(format!(
                "the list of kernels that the tuner refuses on this device has changed: {}",
                path.display()
            ));
        }
    }
    Ok(Report {
        shadegrad: env!("CARGO_PKG_VERSION"),
        wgpu: version::wgpu(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        started: clock::now_text(),
        command: options.command.clone(),
        device,
        rows: results.sorted(),
        functions: sweeps,
        random_shapes,
        seed: options.seed,
        notes,
        interrupted,
        seconds: started.elapsed().as_secs_f64(),
    })
}
