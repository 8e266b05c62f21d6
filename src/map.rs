//! The map of the code: one training step in order, and the modules that take part in it.
//!
//! # One training step
//!
//! The way of the data through the preset `case2`, in the order of `shadegrad plan case2`. Labels are
//! `<layer>.<pass>`; `dw`, `db`, `dx` and `dy` are the gradients of `w`, `b`, `x` and `y`.
//!
//! | label | what happens | where |
//! |---|---|---|
//! | | files, or the built-in generator, become bytes: 0 is background, 255 ink | [`data`] |
//! | | the bytes go to the device once; each epoch sends a new order of them | [`train`], [`data::order`] |
//! | `batch.gather` | the order picks a batch: bytes become numbers from 0 to 1; with `--augment`, distorted by maps that `batch.augment` has drawn | [`ops::gather_batch`], [`ops::augment`] |
//! | `conv1.forward` | convolution, bias and ReLU | [`ops::conv2d`], [`ops::activation`] |
//! | `pool1.forward` | maximum of each window | [`ops::pool2d`] |
//! | `conv2.forward`, `pool2.forward` | the same, smaller and deeper | |
//! | `dropout1.forward` | some values become 0, drawn by seed and step | [`ops::dropout`] |
//! | | flatten is only another shape for the same numbers | [`ops::flatten`] |
//! | `dense1.forward`, `dropout2.forward`, `dense2.forward` | ten scores an image | [`ops::dense`] |
//! | `loss.cross_entropy` | softmax, loss, prediction, and the gradient of the scores | [`ops::softmax`] |
//! | `score` | the batch's loss and correct predictions are added up | [`ops::score`] |
//! | `dense2.backward_weight`, `dense2.backward_bias`, … | `dw`, `db` and `dx` of a layer | [`ops::dense`] |
//! | `dropout2.backward` … `conv1.backward_weight` | the same names in reverse | [`ops`] |
//! | `sgd.update` | one dispatch updates all weights; `adam.update` with Adam; on request `clip.scale` before, `average.update` behind | [`ops::sgd`], [`ops::adam`], [`ops::clip`], [`ops::average`] |
//! | | losses and counts, a few bytes, are read back and reported | [`train::Event`] |
//! | | after an epoch the network is evaluated, and the run can go on from here | [`evaluate`], [`train::Checkpoint`](crate::train::Checkpoint) |
//!
//! # The modules
//!
//! [`network`] checks a chain of layers and compiles it to a [`plan::Plan`] and its [passes](crate::plan::Pass), whose tensors take
//! turns in memory. [`ops`] holds the operations, one module each: `mod.rs` says what it is, `gpu.rs` launches it, `fast.rs` computes it fast on the CPU, and
//! `cpu.rs` readably. [`gpu`] speaks to wgpu and knows no neural network; [`tune`] chooses among its kernels. [`fast`]
//! runs the same passes on the CPU, and [`reference`] runs their readable form. [`machine`] puts a compiled network on
//! any of them. [`train`] and [`evaluate`] drive a machine; how is said by [`train::TrainOptions`](crate::train::TrainOptions).
//! A [run](crate::run) trains with a folder, checkpoints and tuning, and a [study](crate::study) makes many runs and reports on
//! them. [`profile`] says what each dispatch of a step costs,
//! [`cpu_speed`] what the CPU would do in the place of a software driver, and [`verify`] whether the kernels are
//! right on this device; what is known to be wrong is in [`known_bad`]. [`picture`] draws, and
//! [`text`] makes strings of unknown origin safe to show.
//!
//! [`cpu_speed`]: mod@crate::cpu_speed
//! [`data`]: mod@crate::data
//! [`data::order`]: crate::data::order
//! [`evaluate`]: mod@crate::evaluate
//! [`fast`]: mod@crate::fast
//! [`gpu`]: mod@crate::gpu
//! [`known_bad`]: mod@crate::known_bad
//! [`machine`]: mod@crate::machine
//! [`network`]: mod@crate::network
//! [`ops`]: mod@crate::ops
//! [`ops::activation`]: crate::ops::activation
//! [`ops::adam`]: crate::ops::adam
//! [`ops::augment`]: crate::ops::augment
//! [`ops::average`]: crate::ops::average
//! [`ops::clip`]: crate::ops::clip
//! [`ops::conv2d`]: crate::ops::conv2d
//! [`ops::dense`]: crate::ops::dense
//! [`ops::dropout`]: crate::ops::dropout
//! [`ops::flatten`]: crate::ops::flatten
//! [`ops::gather_batch`]: crate::ops::gather_batch
//! [`ops::pool2d`]: crate::ops::pool2d
//! [`ops::score`]: crate::ops::score
//! [`ops::sgd`]: crate::ops::sgd
//! [`ops::softmax`]: crate::ops::softmax
//! [`picture`]: mod@crate::picture
//! [`plan::Plan`]: crate::plan::Plan
//! [`profile`]: mod@crate::profile
//! [`reference`]: mod@crate::reference
//! [`text`]: mod@crate::text
//! [`train`]: mod@crate::train
//! [`train::Event`]: crate::train::Event
//! [`tune`]: mod@crate::tune
//! [`verify`]: mod@crate::verify
