// shared / window
//   The sizes of a window that slides over a batch of images, `Window2d` of src/shape.rs. In formulas:
//   N = BATCH   H, W = HEIGHT, WIDTH   C = CHANNELS   R, S = KERNEL_H, KERNEL_W   P, Q = OUT_HEIGHT, OUT_WIDTH
//   Padding below and to the right has no constant: P and Q imply it.

const BATCH = 1u;
const HEIGHT = 1u;
const WIDTH = 1u;
const CHANNELS = 1u;
const KERNEL_H = 1u;
const KERNEL_W = 1u;
const STRIDE_H = 1u;
const STRIDE_W = 1u;
const PAD_TOP = 0u;
const PAD_LEFT = 0u;
const OUT_HEIGHT = 1u;
const OUT_WIDTH = 1u;
