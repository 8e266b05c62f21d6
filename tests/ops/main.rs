//! Tests of each pass against its reference. `<op>.rs` tests `src/ops/<op>`.

#[path = "../common/mod.rs"]
mod common;

mod accumulate;
mod activation;
mod adam;
mod augment;
mod average;
mod batch_norm;
mod classifier;
mod clip;
mod conv2d;
mod dense;
mod dropout;
mod gather_batch;
mod pool2d;
mod score;
mod sgd;
mod softmax;
mod staged;
