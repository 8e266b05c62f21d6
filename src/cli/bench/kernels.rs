//! `shadegrad bench kernels`: the cost of each dispatch of a training step on a device.

use super::system::{self, Processors};
use super::{noise, train_options};
use crate::cli::output::{outln, print_page};
use crate::cli::tune::TuneOption;
use crate::cli::{DeviceOption, ModelArgument};
use clap::Args;
use shadegrad::network::Network;
use shadegrad::profile::{Ceilings, Profile, roofline};
use shadegrad::train::Trainer;
use shadegrad::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    model: ModelArgument,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    tune: TuneOption,
    /// Images per step
    #[arg(short, long = "batch-size", alias = "batch", value_name = "N", default_value_t = 100)]
    batch: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Draw a roofline chart: arithmetic intensity and speed of each dispatch, below the device's ceilings
    #[arg(long, value_name = "FILE.svg")]
    roofline: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let network = Network::open(options.model.get().unwrap_or("case2"))?;
    let train_options = train_options(&network, options.batch)?;
    if let Some(path) = &options.roofline {
        shadegrad::picture::check_path(path)?;
    }
    let device = options.device.open(options.json)?;
    if options.roofline.is_some() && device.gpu().is_none() {
        let problem = "--roofline needs a GPU or a driver that acts as one; the CPU has no ceilings measured";
        return Err(Error::Usage(problem.into()));
    }
    let data = noise(&network, options.batch)?;
    let device = options.tune.apply(&device, &train_options.compile(&network, &data)?, options.json)?;
    let mut trainer = Trainer::new(&device, &network, &data, train_options, None)?;
    let processors = Processors::read();
    let profile = pollster::block_on(trainer.profile())?;
    let ceilings = pollster::block_on(Ceilings::of(&device))?;
    let others = processors.and_then(|before| before.others_since());
    let title = format!("training step of {}, batches of {}, on {}", network.name, options.batch, device.description);
    if options.json {
        let mut object = profile.json(ceilings.as_ref());
        object["model"] = network.name.as_str().into();
        object["device"] = device.description.as_str().into();
        object["batch"] = options.batch.into();
        object["busy_processors_of_others"] = others.into();
        outln!("{object}")?;
    } else {
        outln!("{title}\n")?;
        print_page(&profile.table(ceilings.as_ref()), &[])?;
        if let Some(note) = others.and_then(system::busy) {
            outln!("note: {note}")?;
        }
    }
    if let (Some(path), Some(ceilings)) = (&options.roofline, &ceilings) {
        draw(path, &title, &profile, ceilings, options.json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn draw(path: &Path, title: &str, profile: &Profile, ceilings: &Ceilings, quiet: bool) -> Result<()> {
    roofline::save(path, title, profile, ceilings)?;
    if !quiet {
        outln!("the roofline is in {}", path.display())?;
    }
    Ok(())
}
