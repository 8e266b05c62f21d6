//! The command line: one file per command. Options are converted to plain structs before anything else happens.

mod bench;
mod cache;
mod completions;
mod cpu_hint;
mod data;
mod devices;
mod doctor;
mod evaluate;
mod inspect;
mod log;
pub mod output;
mod predict;
mod program;
mod progress;
mod ranks;
mod reference;
mod shaders;
mod signals;
mod study;
mod train;
mod tune;
mod verify;
mod verify_kernel;

use crate::cli::output::errln;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
pub use ranks::main;
use shadegrad::Result;
use shadegrad::data::{DataPair, Source};
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::{CompileOptions, Network, Preset, Weights};
use shadegrad::ranks::Collective;
use shadegrad::run::{RunRecord, folder_of, newest, open_model, open_model_as};
use shadegrad::train::TrainOptions;
use signals::stop_on_ctrl_c;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::message;

/// Exit status after Ctrl-C, by the convention of shells: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// The folder in which runs are created, and in which `latest` is looked up.
const RUNS: &str = "runs";

/// Trains convolutional networks with hand-written WGSL compute shaders on any Vulkan, Metal or DX12 GPU.
#[derive(Parser)]
#[command(
    version,
    long_version = program::LONG_VERSION.as_str(),
    max_term_width = 100,
    after_help = "`shadegrad COMMAND -h` lists the options of a command, `shadegrad COMMAND --help` explains them."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Options that every command has.
#[derive(Args)]
struct Global {
    /// When to use colours; NO_COLOR in the environment turns them off too
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", help_heading = "Global options")]
    color: Color,
    /// Log what the program does; -vv logs more, and what wgpu says
    ///
    /// RUST_LOG in the environment chooses in detail: RUST_LOG=shadegrad=debug,wgpu_hal=info. Messages go to standard error.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
}

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    /// On a terminal
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// Applies the choice to everything that is printed from here on.
    fn apply(self) {
        let choice = match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[derive(Subcommand)]
enum Command {
    // In a box, because it has far more options than the others.
    /// Train a network; without arguments, a small one on built-in digits in about two minutes
    Train(Box<train::Options>),
    /// Loss, accuracy, precision, recall and confusion matrix of a trained network
    Evaluate(evaluate::Options),
    /// Recognize the digit in a picture
    Predict(predict::Options),
    /// Train the paper's six networks, or others, with several seeds, and write a report
    Study(study::Options),
    /// Layers, shapes, parameters and cost of a network
    Summary(inspect::SummaryOptions),
    /// The dispatches that a training step is compiled to
    Plan(inspect::PlanOptions),
    /// Write the kernels of a training step to files, as WGSL or as drivers receive them
    Shaders(shaders::Options),
    /// Check every kernel on a device against the reference: run this first on a new GPU or driver
    Verify(verify::Options),
    /// Find the fastest kernels for a network on a device ahead of training
    Tune(tune::Options),
    /// Compare the training speed of devices; `bench kernels` times each dispatch of a step
    Bench(bench::Options),
    /// Show, export or download data sets
    Data(data::Options),
    /// List the GPUs, drivers and CPU that can be trained on
    Devices(devices::Options),
    /// Check this machine: driver, devices, data, cache and a few kernels; paste the output into a bug report
    Doctor(doctor::Options),
    /// Print a completion script for a shell
    Completions(completions::Options),
    /// Write man pages
    Man(completions::ManOptions),
    /// Print the command reference as Markdown
    #[command(hide = true)]
    Reference,
}

/// MODEL, or `--model` as in earlier versions.
#[derive(Args)]
struct ModelArgument {
    #[arg(value_name = "MODEL", help = model_help())]
    model: Option<String>,
    #[arg(long = "model", id = "named_model", value_name = "MODEL", hide = true, conflicts_with = "model")]
    named: Option<String>,
}

impl ModelArgument {
    fn get(&self) -> Option<&str> {
        self.model.as_deref().or(self.named.as_deref())
    }
}

/// MODEL, for commands that require it.
#[derive(Args)]
struct RequiredModel {
    #[arg(value_name = "MODEL", required_unless_present = "named_model", help = model_help())]
    model: Option<String>,
    #[arg(long = "model", id = "named_model", value_name = "MODEL", hide = true, conflicts_with = "model")]
    named: Option<String>,
}

impl RequiredModel {
    /// The name; clap rejects a command line without one.
    fn get(&self) -> &str {
        self.model.as_deref().or(self.named.as_deref()).unwrap_or_default()
    }

    fn open(&self) -> Result<Network> {
        Network::open(self.get())
    }
}

/// `--device`
#[derive(Args)]
struct DeviceOption {
    /// Device to run on: auto, cpu, reference, or a GPU by its number or a part of its name [default: auto]
    ///
    /// auto takes a discrete GPU before an integrated one before a software driver, and the CPU where there is no driver.
    /// cpu is native code on all cores, cpu:4 on four threads; reference is the readable reference. `shadegrad devices`
    /// lists the GPUs; a part of a name must fit one device only.
    #[arg(short = 'D', long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
}

/// `--batch-size`, for commands that examine a training step.
#[derive(Args)]
struct BatchOption {
    /// Images per step [default: the network's own, or 100]
    #[arg(short, long, value_name = "N")]
    batch_size: Option<usize>,
}

/// Trained weights, and the network that they belong to.
#[derive(Args)]
struct TrainedOption {
    /// A run folder, `latest` for the newest one, or a .safetensors file
    ///
    /// `latest` is the run under runs/ that was started or resumed last. A file may be the weights or a checkpoint of a run,
    /// or weights that PyTorch has saved, which need --model.
    #[arg(value_parser = run_path)]
    run: PathBuf,
    #[arg(
        long,
        value_name = "MODEL",
        help = format!("The network, for a weights file that does not contain it: {}", model_help())
    )]
    model: Option<String>,
}

impl TrainedOption {
    /// Reads the network and the weights.
    fn open(&self) -> Result<(Network, Weights)> {
        match &self.model {
            None => open_model(&self.run),
            Some(model) => open_model_as(&self.run, model),
        }
    }

    /// The record of the run that the weights belong to; `None` for a file outside of runs.
    fn record(&self) -> Result<Option<RunRecord>> {
        folder_of(&self.run).map(RunRecord::read).transpose()
    }
}

/// Parses a run folder: a path, or `latest` for the newest run under `runs/`.
fn run_path(text: &str) -> Result<PathBuf> {
    // Rank 0 reads the run, and sends the others what they need of it.
    if text == "latest" && !Path::new(text).exists() && ranks::leads() {
        return newest(Path::new(RUNS));
    }
    Ok(text.into())
}

/// `--data`
#[derive(Args)]
struct DataOption {
    /// Data set: a folder with the four files of the MNIST format, or `builtin` for digits that the program draws
    /// [default: $SHADEGRAD_DATA, else data/mnist if it exists, else builtin]
    ///
    /// The files may be gzipped. Where their names begin with the name of the set, as EMNIST's do,
    /// FOLDER/emnist-letters takes one of several sets.
    #[arg(short, long, value_name = "DIR|builtin")]
    data: Option<String>,
}

impl DeviceOption {
    /// The device that was asked for.
    fn choice(&self) -> DeviceChoice {
        self.device.clone().unwrap_or_default()
    }

    /// Opens the device, and names it on stderr.
    fn open(&self, quiet: bool) -> Result<Device> {
        self.open_or(&DeviceChoice::default(), quiet)
    }

    /// Like [`DeviceOption::open`], but opens `usual` instead of `auto` if no device was asked for.
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
    /// The options that `train` would compile a step of the network with, given no other options; without sections for
    /// data sets.
    fn compile_options(&self, network: &Network) -> Result<CompileOptions> {
        let recipe = network.recipe.complete()?;
        let options = TrainOptions { batch_size: self.batch_size.unwrap_or(recipe.batch_size), ..recipe };
        options.validate()?;
        Ok(options.compile_options(network))
    }
}

impl DataOption {
    /// Reads or generates the data, with a note on stderr if it is a fallback.
    fn load(&self, quiet: bool) -> Result<DataPair> {
        self.source(quiet).load()
    }

    /// The source of the data, with a note on stderr if it is a fallback.
    fn source(&self, quiet: bool) -> Source {
        let (source, notice) = Source::resolve(self.data.as_deref(), std::env::var_os("SHADEGRAD_DATA").as_deref());
        if let Some(notice) = notice.filter(|_| !quiet) {
            errln!("note: {notice}");
        }
        source
    }

    /// The data of a run, unless `--data` is given; a note on stderr says if the run was trained on other data.
    fn load_for(&self, record: Option<&RunRecord>, quiet: bool) -> Result<DataPair> {
        let source = match (&self.data, record) {
            (None, Some(record)) => record.source()?,
            _ => self.source(quiet),
        };
        let data = source.load()?;
        if let Some(record) = record.filter(|_| !quiet)
            && record.is_trained_on(&data)? == Some(false)
        {
            errln!("note: the run was trained on other data: {}", record.data);
        }
        Ok(data)
    }
}

/// Help text of an option or argument that names a network.
fn model_help() -> String {
    format!("A preset ({}) or a network file that ends in .toml", Preset::names())
}

/// Runs the command, as one of these ranks.
fn run(cli: Cli, ranks: &dyn Collective) -> Result<ExitCode> {
    cli.global.color.apply();
    log::start(cli.global.verbose)?;
    signals::keep_file_size_an_error();
    // Also for commands that open no device, so that nobody takes their output for that of a profile.
    shadegrad::gpu::LimitProfile::asked()?;
    match cli.command {
        Command::Train(options) => train::run(*options, ranks),
        Command::Study(options) => study::run(&options, ranks),
        Command::Evaluate(options) => evaluate::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::Summary(options) => inspect::summary(&options),
        Command::Plan(options) => inspect::plan(&options),
        Command::Shaders(options) => shaders::run(&options),
        Command::Tune(options) => tune::command(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Devices(options) => devices::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Data(options) => data::run(&options),
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => completions::man(&options),
        Command::Reference => reference::run(),
    }
}
