//! What `--device cpu` would give, said where the shaders run on a software driver: by a figure that was measured here.

use super::output::grouped;
use shadegrad::cpu_speed::cpu_speed;
use shadegrad::data::DataPair;
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::train::TrainOptions;

/// The figure.
pub struct CpuHint {
    images_per_second: f64,
}

impl CpuHint {
    /// Measures or recalls it; nothing on a real GPU, and nothing where it could not be had.
    pub fn find(device: &Device, network: &Network, options: &TrainOptions, data: &DataPair) -> Option<CpuHint> {
        device.gpu().filter(|gpu| gpu.is_software())?;
        let speed = cpu_speed(super::cache::folder().as_deref(), network, options, data).ok()??;
        Some(CpuHint { images_per_second: speed.images_per_second })
    }

    /// For the start.
    pub fn alone(&self) -> String {
        format!("note: `--device cpu` does about {} images/s here", about(self.images_per_second))
    }

    /// When it is known what the shaders do.
    pub fn beside(&self, shaders: f64) -> String {
        let ratio = self.images_per_second / shaders;
        let times = if ratio >= 1.1 { format!(", {ratio:.1} times as much") } else { String::new() };
        let (shaders, cpu) = (about(shaders), about(self.images_per_second));
        format!("note: the shaders do about {shaders} images/s here, and `--device cpu` about {cpu}{times}")
    }
}

/// Two digits that count, for a measurement of a third of a second.
fn about(rate: f64) -> String {
    let unit = 10f64.powf(rate.log10().floor() - 1.0);
    let rounded = (rate / unit).round() * unit;
    if unit < 1.0 { format!("{rounded:.1}") } else { grouped(rounded.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_and_compared() {
        let hint = CpuHint { images_per_second: 4_129.0 };
        assert_eq!(hint.alone(), "note: `--device cpu` does about 4,100 images/s here");
        let beside = hint.beside(1_660.0);
        assert!(beside.contains("about 1,700 images/s here, and `--device cpu` about 4,100, 2.5 times as"), "{beside}");
        assert!(hint.beside(4_000.0).ends_with("about 4,100"));
        assert_eq!([9.96, 99.6, 3.04, 885.0].map(about), ["10.0", "100", "3.0", "890"]);
    }
}
