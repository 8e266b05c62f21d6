//! Runs the cases: on an open device with its variants, or on the CPU with its instruction sets and thread counts.

use super::Check;
use super::draw::Draw;
use super::expected::Finding;
use super::item::Item;
use super::launch::{Launch, variants};
use super::only::Shape;
use super::results::Results;
use super::run::{Extent, VerifyOptions};
use crate::error::{Error, Result};
use crate::fast::{Instructions, Team};
use crate::gpu::Recording;
use crate::known_bad::KnownBad;
use crate::machine::{Device, DeviceChoice};
use crate::ops::KernelConfig;
use std::sync::Arc;

/// Default numbers of random shapes, by extent: the CPU takes seconds, whereas a driver compiles a kernel for each.
const RANDOM_ON_CPU: [usize; 3] = [500, 2000, 20_000];
const RANDOM_ON_DRIVER: [usize; 3] = [50, 200, 2000];

/// Numbers of threads with which the CPU must give the same bits.
const THREADS: [usize; 3] = [1, 2, 5];

/// Runs the cases.
pub(super) struct VerifySession<'a> {
    options: &'a VerifyOptions,
    pub device: Device,
    pub known: KnownBad,
    variants: Vec<KernelConfig>,
    /// Thread pools by instruction set, one for each number of threads.
    teams: Vec<(&'static str, Vec<Arc<Team>>)>,
}

impl<'a> VerifySession<'a> {
    pub async fn open(options: &'a VerifyOptions) -> Result<VerifySession<'a>> {
        if options.device == DeviceChoice::Reference {
            let problem = "the reference is what other devices are verified against; choose another device";
            return Err(Error::Usage(problem.into()));
        }
        let device = Device::open(&options.device).await?;
        let (mut known, mut all, mut teams) = (KnownBad::default(), Vec::new(), Vec::new());
        if let Some(gpu) = device.gpu() {
            known = KnownBad::open(options.cache.as_deref(), gpu)?;
            // A variant selected by its number may be any of the list.
            let numbered = options.only.as_ref().is_some_and(|only| only.variant.is_some());
            all = variants(gpu, if numbered { Extent::Full } else { options.extent });
        } else {
            for instructions in Instructions::all() {
                let team = |threads| Team::new(Some(threads), instructions).map(Arc::new);
                teams.push((instructions.name(), THREADS.into_iter().map(team).collect::<Result<Vec<_>>>()?));
            }
        }
        Ok(VerifySession { options, device, known, variants: all, teams })
    }

    /// Number of random shapes to verify.
    pub fn random_shapes(&self) -> usize {
        let of_device = if self.device.gpu().is_some() { RANDOM_ON_DRIVER } else { RANDOM_ON_CPU };
        self.options.random_shapes.unwrap_or(of_device[self.options.extent as usize])
    }

    /// The variants of an item to run; `number` is the number that `--only` uses for a variant.
    fn wanted<T>(&self, item: &Item, mut variants: Vec<T>, number: impl Fn(&T) -> usize) -> Vec<T> {
        let asked_for = self.options.only.as_ref().and_then(|only| only.variant);
        match (asked_for, item.shape) {
            (Some(variant), _) => variants.retain(|one| number(one) == variant),
            (None, Shape::Random(shape)) if !variants.is_empty() => {
                let name = format!("variant of {}", item.name);
                let one = Draw::new(self.options.seed, &name, shape).below(variants.len());
                variants = vec![variants.swap_remove(one)];
            }
            (None, _) => {}
        }
        variants
    }

    /// Opens the device again after a failure, which it would otherwise keep reporting.
    pub async fn reopen(&mut self) -> Result<()> {
        self.device = Device::open(&self.options.device).await?;
        Ok(())
    }

    /// Verifies one operation at its shape with all of its operands: a listed shape in every variant, a random one in a
    /// random variant.
    pub async fn verify(&mut self, item: &Item, results: &mut Results<'_>) -> Result<()> {
        let checks = item.op.checks();
        let Some(first) = checks.first() else { return Ok(()) };
        for (variant, recording) in self.wanted(item, distinct(first, &self.variants)?, |(at, _)| *at) {
            let launch = Launch::of(&recording);
            for check in &checks {
                let Some(gpu) = self.device.gpu() else { continue };
                let mut recording = recording.clone();
                self.options.tamper.iter().for_each(|tamper| tamper(&mut recording));
                let outcome = check.case.on_gpu(gpu, recording).await;
                let outcome = outcome.and_then(|outputs| check.expected.judge(&outputs));
                let failed = matches!(outcome, Err(Finding::Device(_)));
                let of = (launch.kernel.as_str(), launch.variant.as_str());
                results.case(of, Some(&launch), outcome, item, check, variant);
                if failed {
                    self.reopen().await?;
                }
            }
        }
        let teams = self.teams.iter().enumerate().collect();
        for (variant, (instructions, teams)) in self.wanted(item, teams, |(at, _)| *at) {
            for check in &checks {
                results.case((&item.name, instructions), None, on_cpu(check, teams), item, check, variant);
            }
        }
        Ok(())
    }
}

/// The variants that turn the pass into different dispatches, with those dispatches.
fn distinct(check: &Check, variants: &[KernelConfig]) -> Result<Vec<(usize, Recording)>> {
    let mut distinct: Vec<(usize, Recording)> = Vec::new();
    for (variant, config) in variants.iter().enumerate() {
        let recording = check.case.recording(config)?;
        if !distinct.iter().any(|(_, known)| known.does_the_same(&recording)) {
            distinct.push((variant, recording));
        }
    }
    Ok(distinct)
}

/// The worst error of a check relative to its bound, with every number of threads, each run twice.
fn on_cpu(check: &Check, teams: &[Arc<Team>]) -> Result<f64, Finding> {
    let mut outputs = teams.iter().flat_map(|team| [team, team]).map(|team| check.case.on_cpu(team));
    let Some(first) = outputs.next().transpose()? else { return Ok(0.0) };
    for other in outputs {
        let other = other?;
        if let Some((one, _)) = first.iter().zip(&other).find(|(one, other)| one.bits != other.bits) {
            return Err(Finding::Threads(one.name.to_string()));
        }
    }
    check.expected.judge(&first)
}
