//! Copies of device memory back to the host that do not wait for work submitted after them.

use super::device::Gpu;
use super::fault;
use super::program::Memory;
use crate::error::Result;
use crate::storage::Region;
use futures_channel::oneshot;

type Mapped = Result<(), wgpu::BufferAsyncError>;

/// A staging buffer for regions, used again and again.
pub struct Readback {
    label: String,
    staging: wgpu::Buffer,
    regions: Vec<Region>,
    under_way: Option<(wgpu::SubmissionIndex, oneshot::Receiver<Mapped>)>,
}

impl Readback {
    /// Allocates the staging buffer for regions, which follow each other in it; `label` names them in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) or [`Error::DeviceLost`](crate::Error::DeviceLost) when it cannot be allocated.
    pub fn new(gpu: &Gpu, label: &str, regions: Vec<Region>) -> Result<Readback> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let len: usize = regions.iter().map(|region| region.len).sum();
        let staging = gpu.buffer("readback", len as u64 * 4, usage)?;
        Ok(Readback { label: label.to_string(), staging, regions, under_way: None })
    }

    /// The regions, in the order of their values.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Submits the copy, to be made when all work submitted so far is done.
    ///
    /// # Errors
    ///
    /// Errors that the device has reported.
    pub fn start(&mut self, gpu: &Gpu, memory: &Memory) -> Result<()> {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut at = 0;
        for region in &self.regions {
            memory.copy_to(&mut encoder, *region, &self.staging, at);
            at += region.len;
        }
        let submission = gpu.queue.submit([encoder.finish()]);
        gpu.check(&self.during())?;
        let (sender, receiver) = oneshot::channel();
        self.staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            let _ = sender.send(mapped);
        });
        self.under_way = Some((submission, receiver));
        Ok(())
    }

    /// Waits until the copy is made, and returns the values of all regions. Work submitted after [`Readback::start`] may
    /// still be running then.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) when the device is lost or does not answer,
    /// [`Error::Device`](crate::Error::Device) for other errors that it reports.
    pub async fn finish(&mut self, gpu: &Gpu) -> Result<Vec<f32>> {
        let during = self.during();
        let Some((submission, receiver)) = self.under_way.take() else { return Ok(Vec::new()) };
        if !cfg!(target_arch = "wasm32") {
            fault::wait_for(&gpu.device, submission, &during)?;
        }
        let values = gpu.mapped(&self.staging, receiver, &during).await?;
        self.staging.unmap();
        Ok(values)
    }

    fn during(&self) -> String {
        format!("reading back `{}`", self.label)
    }
}
