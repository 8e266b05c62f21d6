//! Kernels that are known to give wrong results on some adapters and drivers, each with the reason.
//!
//! There are two lists in the same format. `assets/known-bad.toml` is built into the program and maintained by hand:
//! each reason names a driver bug and where it was reported. `known-bad.toml` in the user's cache folder holds what
//! [`mod@crate::verify`] has found on this machine; users may edit or delete it. The tuner rejects kernels that are on
//! either list ([`KnownBad::reason`]), and `verify` says when an entry passes after all.

use crate::error::{Error, Result};
use crate::files::{Links, read_own_text_if_there, replace_file};
use crate::gpu::Gpu;
use crate::kept;
use crate::text::toml_problem;
use crate::verify::Launch;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An entry of the lists: a kernel that is wrong on an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFault {
    /// Substring of the adapter's name, ignoring case.
    pub adapter: String,
    /// Substring of the driver's name and version, ignoring case; matches all drivers if empty.
    #[serde(default)]
    pub driver: String,
    /// The kernel as `verify` prints it: `conv2d/forward`.
    pub kernel: String,
    /// Substring of the variant as `verify` prints it; matches all variants if empty. If `sources` is given, the whole
    /// variant.
    #[serde(default)]
    pub variant: String,
    /// What goes wrong, and where it was reported.
    pub reason: String,
    /// Checksum of the shader sources, if the entry was found by a verification: other sources may be correct. See
    /// [`Launch::sources`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<String>,
}

impl KnownFault {
    /// The entry for a wrong kernel that a verification has found.
    pub fn found(gpu: &Gpu, launch: &Launch, reason: String) -> KnownFault {
        let Launch { kernel, variant, sources } = launch.clone();
        KnownFault {
            adapter: gpu.info.name.clone(),
            driver: gpu.driver(),
            kernel,
            variant,
            reason,
            sources: Some(sources),
        }
    }

    /// Whether the entry applies to a device.
    fn applies_to_device(&self, adapter: &str, driver: &str) -> bool {
        let contains = |whole: &str, part: &str| whole.to_lowercase().contains(&part.to_lowercase());
        contains(adapter, &self.adapter) && contains(driver, &self.driver)
    }

    /// Whether the entry applies to a kernel. An entry found by a verification applies to exactly that variant and
    /// those sources; for other entries a substring of the variant is enough.
    fn applies_to(&self, launch: &Launch) -> bool {
        let variant = match &self.sources {
            Some(sources) => self.variant == launch.variant && *sources == launch.sources,
            None => launch.variant.contains(&self.variant),
        };
        self.kernel == launch.kernel && variant
    }
}

/// The content of a list's file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bad: Vec<KnownFault>,
}

const SHARED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/known-bad.toml"));

/// The entries that apply to one device.
#[derive(Clone, Debug, Default)]
pub struct KnownBad {
    entries: Vec<KnownFault>,
}

impl KnownBad {
    /// Path of the user's list in a cache folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("known-bad.toml")
    }

    /// The entries of both lists that apply to a device; `folder` is the cache folder with the user's list.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::File`] when the user's list cannot be read or is not valid.
    pub fn open(folder: Option<&Path>, gpu: &Gpu) -> Result<KnownBad> {
        let mut entries = entries_of(SHARED, Path::new("assets/known-bad.toml"))?;
        entries.extend(folder.map(read).transpose()?.unwrap_or_default());
        entries.retain(|entry| entry.applies_to_device(&gpu.info.name, &gpu.driver()));
        Ok(KnownBad { entries })
    }

    /// All entries for the device.
    pub fn entries(&self) -> &[KnownFault] {
        &self.entries
    }

    /// The entry for a kernel, if it is known to be wrong.
    pub fn entry(&self, launch: &Launch) -> Option<&KnownFault> {
        self.entries.iter().find(|entry| entry.applies_to(launch))
    }

    /// The entry for a kernel, if one was written by hand rather than found by a verification on this machine.
    pub fn judged(&self, launch: &Launch) -> Option<&KnownFault> {
        self.entries.iter().find(|entry| entry.sources.is_none() && entry.applies_to(launch))
    }

    /// Why a kernel must not be used, if it is known to be wrong.
    pub fn reason(&self, launch: &Launch) -> Option<String> {
        self.entry(launch).map(|entry| format!("known to be wrong: {}", entry.reason))
    }

    /// Records a verification in the list in a cache folder: adds `found`, and removes entries that an earlier
    /// verification had found for the kernels in `cleared`. The file is written only if its entries change; returns
    /// whether it was.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::File`] when the list cannot be read, is not valid, or cannot be written.
    pub fn remember(folder: &Path, gpu: &Gpu, found: &[KnownFault], cleared: &[Launch]) -> Result<bool> {
        let (adapter, driver) = (gpu.info.name.as_str(), gpu.driver());
        let is_cleared = |entry: &KnownFault| {
            let same_device = entry.adapter == adapter && entry.driver == driver;
            entry.sources.is_some() && same_device && cleared.iter().any(|launch| entry.applies_to(launch))
        };
        let change = |before: &[KnownFault]| {
            let mut bad: Vec<KnownFault> = before.iter().filter(|entry| !is_cleared(entry)).cloned().collect();
            for entry in found {
                let same = |known: &KnownFault| KnownFault { reason: String::new(), ..known.clone() };
                if !bad.iter().any(|known| same(known) == same(entry)) {
                    bad.push(entry.clone());
                }
            }
            (bad != before).then_some(bad)
        };
        // Checked before locking: a read-only folder does not matter if there is nothing to write.
        if change(&read(folder)?).is_none() {
            return Ok(false);
        }
        let path = KnownBad::path(folder);
        let _lock = kept::locked(&path)?;
        let Some(bad) = change(&read(folder)?) else { return Ok(false) };
        let text = toml::to_string(&File { bad }).map_err(|error| Error::file(&path, error.to_string()))?;
        replace_file(&path, |file| file.write_all(text.as_bytes()))?;
        Ok(true)
    }
}

/// The entries of a list; `origin` is the file that errors name.
///
/// # Errors
///
/// [`Error::File`] when the text is not a valid list, or an entry lacks its adapter, kernel or reason.
pub fn entries_of(text: &str, origin: &Path) -> Result<Vec<KnownFault>> {
    let file: File = toml::from_str(text).map_err(|error| Error::file(origin, toml_problem(&error)))?;
    match file.bad.iter().find(|entry| entry.adapter.is_empty() || entry.kernel.is_empty() || entry.reason.is_empty()) {
        Some(entry) => Err(Error::file(origin, format!("an entry needs adapter, kernel and reason, got {entry:?}"))),
        None => Ok(file.bad),
    }
}

/// The entries of the user's list; empty if the file does not exist.
fn read(folder: &Path) -> Result<Vec<KnownFault>> {
    let path = KnownBad::path(folder);
    read_own_text_if_there(&path, Links::Follow)?.map_or(Ok(Vec::new()), |text| entries_of(&text, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(kernel: &str, variant: &str, sources: &str) -> Launch {
        Launch { kernel: kernel.into(), variant: variant.into(), sources: sources.into() }
    }

    #[test]
    fn the_shared_list_can_be_read() {
        entries_of(SHARED, Path::new("assets/known-bad.toml")).unwrap();
    }

    #[test]
    fn an_entry_applies_to_its_adapter_driver_kernel_and_variant() {
        let text = "[[bad]]\nadapter = 'acme'\ndriver = 'v1.2'\nkernel = 'conv2d/forward'\nvariant = 'staged'\n\
                    reason = 'wrong in the last row'\n";
        let [entry] = &entries_of(text, Path::new("list")).unwrap()[..] else { panic!("one entry expected") };
        assert!(entry.applies_to_device("ACME GPU 3000", "acme v1.2.3"));
        assert!(!entry.applies_to_device("other", "acme v1.2.3") && !entry.applies_to_device("ACME GPU 3000", "v1.3"));
        let staged = "staged 64x64 (8x8 each), buffer, 512 groups";
        assert!(entry.applies_to(&launch("conv2d/forward", staged, "00")));
        assert!(!entry.applies_to(&launch("conv2d/forward", "register 8x8, buffer", "00")));
        assert!(!entry.applies_to(&launch("conv2d/forward_naive", staged, "00")));
        let found = KnownFault { sources: Some("00".into()), ..entry.clone() };
        assert!(!found.applies_to(&launch("conv2d/forward", staged, "00")), "only a substring of the variant");
        let found = KnownFault { variant: staged.into(), ..found };
        assert!(found.applies_to(&launch("conv2d/forward", staged, "00")));
        assert!(!found.applies_to(&launch("conv2d/forward", staged, "01")), "other shader sources");
    }

    #[test]
    fn errors_name_the_file_and_the_problem() {
        for (text, says) in [
            ("[[bad]]\nadapter = 'a'\nkernel = 'k'\n", "reason"),
            ("[[bad]]\nadapter = ''\nkernel = 'k'\nreason = 'r'\n", "needs adapter"),
            ("[[good]]\n", "good"),
            ("[[bad]]\nadapter = 'a'\nkernel = 'k'\nreason = 'r'\ncolour = 'red'\n", "colour"),
        ] {
            let message = entries_of(text, Path::new("list.toml")).unwrap_err().to_string();
            assert!(message.contains(says) && message.contains("list.toml"), "{message}");
        }
    }
}
