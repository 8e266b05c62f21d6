//! Checks two shaders against the reference: a correct one, and one that confuses the strides of rows and columns.
//!
//!     cargo run --release --example own_shader

use shadegrad::prelude::*;
use std::path::Path;

fn main() -> Result<()> {
    let device = Device::open_blocking(&DeviceChoice::default())?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let check = |file: &str, shape: Option<&str>| -> Result<()> {
        let mut kernel = OwnKernel::open(&folder.join(file), "conv2d.forward")?.with_random_shapes(5, 1);
        if let Some(shape) = shape {
            kernel = kernel.with_shape(shape)?;
        }
        let report = kernel.verify_blocking(&device)?;
        let verdict = match report.failures.first() {
            None => format!("right, the worst error {:.3} of its bound", report.worst),
            Some(failure) => {
                format!("wrong in {} of {} cases: {}", report.failures.len(), report.cases, failure.finding)
            }
        };
        println!("{file}, {}: {verdict}", shape.unwrap_or("edge cases and random shapes"));
        Ok(())
    };
    check("conv2d.wgsl", None)?;
    // With equal strides the mistake has no effect: one shape is not enough.
    check("conv2d_wrong_stride.wgsl", Some("batch=2,height=9,width=9,channels=4,filters=8,stride=2"))?;
    check("conv2d_wrong_stride.wgsl", None)
}
