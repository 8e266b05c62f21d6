//! Shapes of the activations that flow between layers, and the arithmetic of sliding windows.

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
    /// Number of elements per image.
    pub fn len(&self) -> usize {
        match self {
            Shape::Image(dimensions) => dimensions.iter().product(),
            Shape::Flat(features) => *features,
        }
    }

    /// Whether the shape has no elements.
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

/// Zeros added around a convolution's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No padding.
    Valid,
    /// As much as makes the output `ceil(input / stride)` rows and columns; an odd one goes to the bottom and the
    /// right.
    Same,
    /// This many rows above and below, and this many columns left and right.
    Explicit([usize; 2]),
}

/// A window that slides over a batch of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// Number of images in the batch, N.
    pub batch: usize,
    /// Height of the input, H.
    pub height: usize,
    /// Width of the input, W.
    pub width: usize,
    /// Channels of the input, C.
    pub channels: usize,
    /// Rows and columns of the window, R and S.
    pub kernel: [usize; 2],
    /// Rows and columns from one position of the window to the next.
    pub stride: [usize; 2],
    /// Rows of zeros above the input and columns of zeros left of it.
    pub padding: [usize; 2],
    /// Height of the output, P.
    pub out_height: usize,
    /// Width of the output, Q.
    pub out_width: usize,
}

impl Window2d {
    /// A window over `batch` images of `shape`, which is height, width and channels.
    ///
    /// # Errors
    ///
    /// A message that gives what was expected and what was given, when a size or a stride is 0, the padding is not
    /// smaller than the kernel, or the kernel does not fit in the padded input.
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

    /// Number of elements of the input, N*H*W*C.
    pub fn input_len(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Number of positions of the window in the batch, N*P*Q.
    pub fn places(&self) -> usize {
        self.batch * self.out_height * self.out_width
    }

    /// Number of pixels that the window covers, R*S.
    pub fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The shader constants that describe a window, with their values.
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
