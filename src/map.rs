//! A map of the code: one training step from start to end, and the modules that take part in it.
//!
//! # One training step
//!
//! How data flows through the preset `case2`, in the order that `shadegrad plan case2` prints. Labels are
//! `<layer>.<pass>`; `dw`, `db`, `dx` and `dy` are the gradients of `w`, `b`, `x` and `y`.
//!
//! | label | what happens | where |
//! |---|---|---|
//! | | files, or the built-in generator, yield images as bytes: 0 is background, 255 ink | [`data`] |
//! | | the bytes are uploaded to the device once; each epoch uploads a new order of the images | [`train`], [`data::order`] |
//! | `batch.gather` | copies the next images in that order to the batch, as numbers from 0 to 1; with `--augment`, distorted by random maps drawn by `batch.augment` | [`ops::gather_batch`], [`ops::augment`] |
//! | `conv1.forward` | convolution, bias and ReLU | [`ops::conv2d`], [`ops::activation`] |
//! | `pool1.forward` | maximum of each window | [`ops::pool2d`] |
//! | `conv2.forward`, `pool2.forward` | the same, with smaller images and more channels | |
//! | | dropout sets random values to 0, chosen by seed and step; the layers before and behind it do that | [`ops::dropout`] |
//! | | flatten gives the same numbers another shape and needs no pass | [`ops::flatten`] |
//! | `dense1.forward`, `dense2.forward` | ten scores per image | [`ops::dense`] |
//! | `loss.cross_entropy` | softmax, loss, prediction, and the gradient of the scores; GPUs join it to the passes before and behind it | [`ops::softmax`], [`ops::classifier`] |
//! | `dense2.backward_input`, `dense2.backward_weight` | `dx`, and `dw` and `db` of a layer | [`ops::dense`] |
//! | `dense1.backward_input` … `conv1.backward_weight` | the same layers in reverse order | [`ops`] |
//! | `score` | adds up the loss and the correct predictions of the batch | [`ops::score`] |
//! | | if several ranks train together, their gradients are added up here; with `--accumulate`, `gradients.sum` adds up those of the parts of the batch | [`ranks`], [`ops::accumulate`] |
//! | `sgd.update` | one dispatch updates all weights; `adam.update` with Adam; if requested, `clip.scale` before it and `average.update` after it | [`ops::sgd`], [`ops::adam`], [`ops::clip`], [`ops::average`] |
//! | | losses and counts, a few bytes, are read back and reported | [`train::Event`] |
//! | | after each epoch the network is evaluated and a checkpoint can be saved | [`evaluate`], [`train::Checkpoint`](crate::train::Checkpoint) |
//!
//! # The modules
//!
//! [`network`] checks a chain of layers and compiles it to a [`plan::Plan`] and its [passes](crate::plan::Pass), whose
//! tensors share memory over time. [`ops`] holds the operations, one module each: `mod.rs` defines the operation,
//! `gpu.rs` launches its kernels, `fast.rs` computes it fast on the CPU, and `cpu.rs` is the readable reference.
//! [`gpu`] is the layer over wgpu and knows nothing of neural networks; [`tune`] chooses among the kernels. [`fast`]
//! runs the passes on the CPU, and [`reference`] runs their reference form. [`ranks`] carries messages between processes that train together.
//! [`machine`] puts a compiled network on any
//! of these devices. [`train`] and [`evaluate`] drive a machine, as configured by
//! [`train::TrainOptions`](crate::train::TrainOptions). A [run](crate::run) adds a folder, checkpoints and tuning to
//! training, and a [study](crate::study) makes many runs and reports on them. [`profile`] measures what each dispatch
//! of a step costs, [`cpu_speed`] how fast the CPU engine would be where only a software driver is available, and
//! [`verify`] whether the kernels are correct on this device; kernels known to be wrong are listed in [`known_bad`].
//! [`picture`] draws charts, and [`text`] makes strings of unknown origin safe to print.
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
//! [`ops::accumulate`]: crate::ops::accumulate
//! [`ops::activation`]: crate::ops::activation
//! [`ops::adam`]: crate::ops::adam
//! [`ops::augment`]: crate::ops::augment
//! [`ops::average`]: crate::ops::average
//! [`ops::classifier`]: crate::ops::classifier
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
//! [`ranks`]: mod@crate::ranks
//! [`reference`]: mod@crate::reference
//! [`text`]: mod@crate::text
//! [`train`]: mod@crate::train
//! [`train::Event`]: crate::train::Event
//! [`tune`]: mod@crate::tune
//! [`verify`]: mod@crate::verify
