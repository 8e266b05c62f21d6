//! Trains case1 or case2 with burn on wgpu for some seconds, on noise; prints one line of JSON.
//!
//! `peer-burn MODEL BATCH SECONDS`: plain SGD. Burn's tuning at the start is not part of the measured time, and its
//! queue is drained every tenth step, so that the times are correct.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use std::time::Instant;

#[derive(Module, Debug)]
struct Net {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    drop1: Dropout,
    fc1: Linear,
    drop2: Dropout,
    fc2: Linear,
    #[module(skip)]
    pool_between: bool,
}

impl Net {
    fn new(case2: bool, device: &Device) -> Self {
        let flat = if case2 { 64 * 5 * 5 } else { 64 * 12 * 12 };
        Net {
            conv1: Conv2dConfig::new([1, 32], [3, 3]).init(device),
            conv2: Conv2dConfig::new([32, 64], [3, 3]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            drop1: DropoutConfig::new(0.25).init(),
            fc1: LinearConfig::new(flat, 128).init(device),
            drop2: DropoutConfig::new(0.5).init(),
            fc2: LinearConfig::new(128, 10).init(device),
            pool_between: case2,
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.conv1.forward(images));
        if self.pool_between {
            x = self.pool.forward(x);
        }
        x = self.drop1.forward(self.pool.forward(relu(self.conv2.forward(x))));
        self.fc2.forward(self.drop2.forward(relu(self.fc1.forward(x.flatten(1, 3)))))
    }
}

/// Peak memory use in bytes; Linux only.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

fn main() {
    let started = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, batch, seconds] = arguments.as_slice() else { panic!("usage: peer-burn MODEL BATCH SECONDS") };
    let batch: usize = batch.parse().expect("BATCH is a number");
    let seconds: f64 = seconds.parse().expect("SECONDS is a number");

    let base = Device::wgpu(Default::default());
    let device = base.clone().autodiff();
    device.seed(1);
    let mut net = Net::new(model == "case2", &device);
    let cost = CrossEntropyLossConfig::new().init(&device);
    let mut optimizer = SgdConfig::new().init();
    // The host's part of a step is the upload of a batch.
    let pixels: Vec<f32> =
        Tensor::<1>::random([batch * 784], Distribution::Uniform(0.0, 1.0), &base).into_data().to_vec().unwrap();
    let labels: Vec<i32> = (0..batch as i32).map(|image| image % 10).collect();
    let mut step = |net: Net| {
        let images = Tensor::from_data(TensorData::new(pixels.clone(), [batch, 1, 28, 28]), &device);
        let wanted: Tensor<1, Int> = Tensor::from_data(TensorData::new(labels.clone(), [batch]), &device);
        let loss = cost.forward(net.forward(images), wanted);
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        (optimizer.step(1e-6, net, gradients), loss.detach())
    };
    let (stepped, loss) = step(net);
    net = stepped;
    let _ = loss.into_scalar::<f32>();
    let first_step = started.elapsed().as_secs_f64();
    for _ in 0..10 {
        net = step(net).0;
    }
    base.sync().unwrap();
    let (clock, mut steps) = (Instant::now(), 0);
    while clock.elapsed().as_secs_f64() < seconds {
        for _ in 0..10 {
            net = step(net).0;
            steps += 1;
        }
        base.sync().unwrap();
    }
    let rate = (steps * batch) as f64 / clock.elapsed().as_secs_f64();
    let memory = peak_memory().unwrap_or(0);
    println!("{{\"images_per_second\": {rate:.1}, \"start_seconds\": {first_step:.2}, \"peak_memory\": {memory}}}");
}
