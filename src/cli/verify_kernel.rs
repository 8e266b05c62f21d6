//! `shadegrad verify --kernel`: checks a user's own shader against the reference.

use super::DeviceOption;
use crate::cli::output::outln;
use clap::Args;
use shadegrad::Result;
use shadegrad::machine::Device;
use shadegrad::verify::own::OwnKernel;
use std::path::PathBuf;
use std::process::ExitCode;

// Without a group of its own, whose name would be that of the options that these are among.
#[derive(Args)]
#[group(skip)]
#[command(next_help_heading = "Your own shader")]
pub struct Options {
    /// Check this shader against the reference, instead of the program's own kernels
    ///
    /// The .wgsl file must be complete, with one entry point `main`. Buffers of group 0 are bound by their names in the formula
    /// (x w b, y). A `const` of the shape at the start of a line (HEIGHT, STRIDE_H, FILTERS) is set to the value of each case;
    /// a setting that the file does not declare has its default. There is one invocation per element of the first output,
    /// unless the file declares `const INVOCATIONS`.
    #[arg(
        long,
        value_name = "FILE.wgsl",
        requires = "pass",
        conflicts_with_all = [
            "model", "named_model", "batch_size", "quick", "full", "only", "report", "json", "inject",
        ]
    )]
    kernel: Option<PathBuf>,
    /// The pass that the shader computes: conv2d.forward, dense.backward_weight, …; an unknown name lists all
    #[arg(long = "as", id = "pass", value_name = "PASS", requires = "kernel")]
    pass: Option<String>,
    /// Check one shape instead of the edge cases and random ones
    ///
    /// For example batch=2,height=28,width=28,channels=1,kernel=3,filters=8; what is left out has a default. Settings alone
    /// (stride=2,activation=relu) select all cases that have them.
    #[arg(long, value_name = "KEY=VALUE,…", requires = "kernel")]
    shape: Option<String>,
}

impl Options {
    /// Checks the shader, if one was given.
    pub fn run(&self, device: &DeviceOption, random_shapes: Option<usize>, seed: u64) -> Result<Option<ExitCode>> {
        let (Some(path), Some(pass)) = (&self.kernel, &self.pass) else { return Ok(None) };
        let mut kernel = OwnKernel::open(path, pass)?.with_random_shapes(random_shapes.unwrap_or(RANDOM_SHAPES), seed);
        if let Some(shape) = &self.shape {
            kernel = kernel.with_shape(shape)?;
        }
        let choice = device.choice();
        pollster::block_on(Device::require_driver(&choice, ""))?;
        let report = kernel.verify_blocking(&Device::open_blocking(&choice)?)?;
        outln!("{report}")?;
        if report.failed() && self.shape.is_none() {
            outln!("random shapes were drawn by --seed {seed}")?;
        }
        Ok(Some(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }))
    }
}

/// Number of random shapes besides the edge cases: the driver compiles a kernel for each.
const RANDOM_SHAPES: usize = 20;
