//! Trains the preset `best` with its own recipe, here for 20 steps on digits that the library draws itself.

use shadegrad::prelude::*;
use std::ops::ControlFlow;

fn main() -> Result<()> {
    let network = Network::open("best")?;
    let options = TrainOptions { max_steps: Some(20), every_step: true, ..network.recipe.complete()? };
    let data = Source::Builtin { seed: 1 }.load()?;
    let device = Device::open_blocking(&DeviceChoice::Cpu(None))?;
    let mut trainer = Trainer::new(&device, &network, &data, options, None)?;
    trainer.run_blocking(&mut |event| {
        if let Event::Steps(report) = event {
            println!("step {}: loss {:.4}", report.first_step, report.losses[0]);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}
