//! What `--device cpu` would give, said where the shaders run on a software driver: by a figure that was measured here.

use super::output::grouped;

/// Images per second of the CPU engine, beside those of the shaders when they are known.
pub fn words(cpu: f64, shaders: Option<f64>) -> String {
    let Some(shaders) = shaders else { return format!("note: `--device cpu` does about {} images/s here", about(cpu)) };
    let ratio = cpu / shaders;
    let times = if ratio >= 1.1 { format!(", {ratio:.1} times as much") } else { String::new() };
    let (shaders, cpu) = (about(shaders), about(cpu));
    format!("note: the shaders do about {shaders} images/s here, and `--device cpu` about {cpu}{times}")
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
        assert_eq!(words(4_129.0, None), "note: `--device cpu` does about 4,100 images/s here");
        let beside = words(4_129.0, Some(1_660.0));
        assert!(beside.contains("about 1,700 images/s here, and `--device cpu` about 4,100, 2.5 times as"), "{beside}");
        assert!(words(4_129.0, Some(4_000.0)).ends_with("about 4,100"));
        assert_eq!([9.96, 99.6, 3.04, 885.0].map(about), ["10.0", "100", "3.0", "890"]);
    }
}
