//! One file a command; options become plain structs before anything happens.

mod bench;
mod cache;
mod cpu_hint;
mod data;
mod devices;
mod evaluate;
mod inspect;
pub mod output;
mod predict;
mod progress;
mod shaders;
mod signals;
mod study;
mod train;
mod tune;
mod verify;
mod verify_kernel;

use crate::cli::output::errln;
use clap::{Args, Parser, Subcommand};
use shadegrad::Result;
use shadegrad::data::{DataPair, Source};
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::{CompileOptions, Network, Preset, Weights};
use shadegrad::run::{open_model, open_model_as};
use shadegrad::train::TrainOptions;
use signals::stop_on_ctrl_c;
use std::path::PathBuf;
use std::process::ExitCode;
pub use train::message;

/// Exit status after Ctrl-C, as shells have it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Trains convolutional networks with hand-written WGSL compute shaders on any Vulkan, Metal or DX12 GPU.
#[derive(Parser)]
#[command(version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    // In a box, because it has far more options than the others.
    /// Train a network; without options a small one on built-in digits, in a minute or two
    Train(Box<train::Options>),
    /// Train the paper's six networks, or any by their recipes, with several seeds, and write a report
    Study(study::Options),
    /// Loss, accuracy, precision, recall and confusion of trained weights
    Evaluate(evaluate::Options),
    /// Say which digit a picture shows
    Predict(predict::Options),
    /// Layers, shapes, parameters and cost of a network
    Summary(inspect::SummaryOptions),
    /// The dispatches that a training step is compiled to
    Plan(inspect::PlanOptions),
    /// Write the kernels of a training step to files, as WGSL or as what drivers are given
    Shaders(shaders::Options),
    /// Find the fastest kernels for a network on a device ahead of training
    Tune(tune::Options),
    /// Train networks on several devices in turn, and compare; `bench kernels`: what each dispatch of a step costs
    Bench(bench::Options),
    /// Check every kernel on a device against the reference: what to run first on a new GPU or driver
    Verify(verify::Options),
    /// List the GPUs, drivers and CPU that can be trained on
    Devices,
    /// Show, export or download data sets
    Data(data::Options),
}

/// `--device`
#[derive(Args)]
struct DeviceOption {
    /// auto (discrete GPU before integrated before software), cpu (native code on all cores; cpu:4 on four threads),
    /// reference (the readable reference), or an adapter of `shadegrad devices` by its number or a part of its name,
    /// which must be that of one device alone [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
}

/// `--batch-size`, of commands that look at a training step.
#[derive(Args)]
struct BatchOption {
    /// Images a step [default: as many as the network is trained with: those of its own options, or 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
}

/// Trained weights, and the network that they belong to.
#[derive(Args)]
struct TrainedOption {
    /// A run folder, or a .safetensors file: of a run, or of PyTorch with --model
    run: PathBuf,
    #[arg(
        long,
        value_name = "MODEL",
        help = format!("The network, for a file that does not hold it. {}", model_help())
    )]
    model: Option<String>,
}

impl TrainedOption {
    /// Reads both.
    fn open(&self) -> Result<(Network, Weights)> {
        match &self.model {
            None => open_model(&self.run),
            Some(model) => open_model_as(&self.run, model),
        }
    }
}

/// `--data`
#[derive(Args)]
struct DataOption {
    /// A folder with the four files of the MNIST format (gzipped or not), or `builtin`. Where their names begin with that
    /// of the set, FOLDER/emnist-letters takes one of several
    /// [default: $SHADEGRAD_DATA, else data/mnist if it is there, else builtin]
    #[arg(long, value_name = "DIR|builtin")]
    data: Option<String>,
}

impl DeviceOption {
    /// What was asked for.
    fn choice(&self) -> DeviceChoice {
        self.device.clone().unwrap_or_default()
    }

    /// Opens the device and says on stderr what was taken.
    fn open(&self, quiet: bool) -> Result<Device> {
        self.open_or(&DeviceChoice::default(), quiet)
    }

    /// The same with something else in place of `auto`, if nothing was asked for.
    fn open_or(&self, usual: &DeviceChoice, quiet: bool) -> Result<Device> {
        let device = pollster::block_on(Device::open(self.device.as_ref().unwrap_or(usual)))?;
        if !quiet {
            errln!("device: {}", device.description);
            if let Some(notice) = &device.notice {
                errln!("note: {notice}");
            }
        }
        Ok(device)
    }
}

impl BatchOption {
    /// What a step of the network is compiled for, when `train` is told no more than this; no section as yet.
    fn compile_options(&self, network: &Network) -> Result<CompileOptions> {
        let recipe = network.recipe.complete()?;
        let options = TrainOptions { batch_size: self.batch_size.unwrap_or(recipe.batch_size), ..recipe };
        options.validate()?;
        Ok(options.compile_options())
    }
}

impl DataOption {
    /// Reads or makes the data, with the notice of a fallback on stderr.
    fn load(&self, quiet: bool) -> Result<DataPair> {
        self.source(quiet).load()
    }

    /// Where the data comes from, with the notice of a fallback on stderr.
    fn source(&self, quiet: bool) -> Source {
        let (source, notice) = Source::resolve(self.data.as_deref(), std::env::var_os("SHADEGRAD_DATA").as_deref());
        if let Some(notice) = notice.filter(|_| !quiet) {
            errln!("note: {notice}");
        }
        source
    }
}

/// Help of an option or argument that names a network.
fn model_help() -> String {
    format!("A preset ({}) or a network file that ends in .toml", Preset::names())
}

/// Runs the command.
pub fn run(cli: Cli) -> Result<ExitCode> {
    signals::keep_file_size_an_error();
    match cli.command {
        Command::Train(options) => train::run(*options),
        Command::Study(options) => study::run(&options),
        Command::Evaluate(options) => evaluate::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::Summary(options) => inspect::summary(&options),
        Command::Plan(options) => inspect::plan(&options),
        Command::Shaders(options) => shaders::run(&options),
        Command::Tune(options) => tune::command(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Devices => devices::run(),
        Command::Data(options) => data::run(&options),
    }
}
