//! Shapes of what flows between layers, and the arithmetic of sliding windows.

use std::fmt;

/// The shape of one image's activations; the batch is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Height, width, channels; stored in that order (NHWC).
    Image([usize; 3]),
    /// A vector of features.
    Flat(usize),
}

impl Shape {
    /// Number of elements an image.
    pub fn len(&self) -> usize {
        match self {
            Shape::Image(dimensions) => dimensions.iter().product(),
            Shape::Flat(features) => *features,
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Image([height, width, channels]) => f.pad(&format!("{height}x{width}x{channels}")),
            Shape::Flat(features) => f.pad(&features.to_string()),
        }
    }
}

/// How far a convolution's input is extended by zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Not at all.
    Valid,
    /// So that the output has `ceil(input / stride)` rows and columns; the odd one goes to the bottom and right.
    Same,
    /// By this many on both sides: rows, columns.
    Explicit([usize; 2]),
}

/// A window that slides over a batch of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// N, images of the batch.
    pub batch: usize,
    /// H, of the input
    pub height: usize,
    /// W, of the input
    pub width: usize,
    /// C, of the input
    pub channels: usize,
    /// R, S: the window's rows and columns
    pub kernel: [usize; 2],
    /// Steps, in rows and columns
    pub stride: [usize; 2],
    /// Zeros above the first row and left of the first column
    pub padding: [usize; 2],
    /// P, of the output
    pub out_height: usize,
    /// Q, of the output
    pub out_width: usize,
}

impl Window2d {
    /// The window's places on `batch` images of `shape`; the message of an error says expected and got.
    pub fn new(
        batch: usize,
        shape: [usize; 3],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Window2d, String> {
        let [height, width, channels] = shape;
        if kernel.contains(&0) || stride.contains(&0) {
            return Err(format!("kernel {kernel:?} and stride {stride:?} must be at least 1"));
        }
        let axis = |input: usize, axis: usize| -> Result<(usize, usize), String> {
            let (kernel, stride) = (kernel[axis], stride[axis]);
            let (before, total) = match padding {
                Padding::Valid => (0, 0),
                Padding::Explicit(each) => (each[axis], 2 * each[axis]),
                Padding::Same => {
                    let total = ((input.div_ceil(stride) - 1) * stride + kernel).saturating_sub(input);
                    (total / 2, total)
                }
            };
            if before >= kernel.max(1) && before > 0 {
                return Err(format!("padding {before} must be smaller than the kernel's {kernel}"));
            }
            if input + total < kernel {
                let name = ["rows", "columns"][axis];
                return Err(format!("expected at least {kernel} {name} for the kernel, got {}", input + total));
            }
            Ok((before, (input + total - kernel) / stride + 1))
        };
        let (top, out_height) = axis(height, 0)?;
        let (left, out_width) = axis(width, 1)?;
        Ok(Window2d { batch, height, width, channels, kernel, stride, padding: [top, left], out_height, out_width })
    }

    /// Elements of the input, N*H*W*C.
    pub fn input_len(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Places of the window, N*P*Q.
    pub fn places(&self) -> usize {
        self.batch * self.out_height * self.out_width
    }

    /// R*S, places of the window.
    pub fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The constants by which shaders know a window.
    pub(crate) fn constants(&self) -> [(&'static str, usize); 12] {
        [
            ("BATCH", self.batch),
            ("HEIGHT", self.height),
            ("WIDTH", self.width),
            ("CHANNELS", self.channels),
            ("KERNEL_H", self.kernel[0]),
            ("KERNEL_W", self.kernel[1]),
            ("STRIDE_H", self.stride[0]),
            ("STRIDE_W", self.stride[1]),
            ("PAD_TOP", self.padding[0]),
            ("PAD_LEFT", self.padding[1]),
            ("OUT_HEIGHT", self.out_height),
            ("OUT_WIDTH", self.out_width),
        ]
    }
}
