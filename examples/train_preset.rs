//! Trains the preset `best` by the recipe that it carries, here for 20 steps on digits that the library draws itself.

use shadegrad::data::Source;
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::Network;
use shadegrad::train::{Event, TrainOptions, Trainer};
use std::ops::ControlFlow;

fn main() -> shadegrad::Result<()> {
    let network = Network::open("best")?;
    let options = TrainOptions { max_steps: Some(20), every_step: true, ..network.recipe.complete()? };
    let data = Source::Builtin { seed: 1 }.load()?;
    let device = pollster::block_on(Device::open(&DeviceChoice::Cpu(None)))?;
    let mut trainer = Trainer::new(&device, &network, &data, options, None)?;
    pollster::block_on(trainer.run(&mut |event| {
        if let Event::Steps(report) = event {
            println!("step {}: loss {:.4}", report.first_step, report.losses[0]);
        }
        Ok(ControlFlow::Continue(()))
    }))?;
    Ok(())
}
