//! What an inference gave: the outputs worth reading, as 32-bit floats.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::session::SessionOutputs;
use ort::value::{DynValue, TensorElementType, ValueRef, ValueType};

use crate::sensor::vision::decode::{MAX_OUTPUTS, Output, times};

/// The outputs that a decoder reads.
pub(super) struct Outcome {
    used: Vec<Used>,
}

struct Used {
    name: String,
    /// As the first inference gave it.
    shape: Vec<i64>,
    /// Its values, where it holds 16-bit floats.
    halves: Vec<f32>,
}

/// Every output of an inference, for a decoder to choose from.
pub(super) fn offered(outputs: &SessionOutputs<'_>) -> Vec<Output> {
    let offer = |(name, value): (&str, ValueRef<'_>)| match value.dtype() {
        ValueType::Tensor { ty, shape, .. } => Output {
            name: name.to_owned(),
            holds: ty.to_string(),
            shape: match ty {
                TensorElementType::Float32 | TensorElementType::Float16 => shape.to_vec(),
                _ => Vec::new(),
            },
        },
        other => Output {
            name: name.to_owned(),
            holds: other.to_string(),
            shape: Vec::new(),
        },
    };
    // The binding panics when it is asked for an output without a name.
    let named = outputs.iter().filter(|(name, _)| !name.is_empty());
    named.map(offer).collect()
}

impl Outcome {
    /// Of the outputs `offered` the ones at the places `used`, at most [`MAX_OUTPUTS`].
    pub(super) fn new(used: &[usize], offered: &[Output]) -> Self {
        let output = |&index: &usize| offered.get(index);
        let used = used.iter().filter_map(output).take(MAX_OUTPUTS);
        let used = used.map(|output| Used {
            name: output.name.clone(),
            shape: output.shape.clone(),
            halves: Vec::new(),
        });
        Self {
            used: used.collect(),
        }
    }

    /// Hands the values to `take`, in the decoder's order.
    ///
    /// # Errors
    /// An output is missing, or is not what it was at load.
    pub(super) fn read(
        &mut self,
        outputs: &SessionOutputs<'_>,
        take: impl FnOnce(&[&[f32]]),
    ) -> Result<(), String> {
        let mut values: [&[f32]; MAX_OUTPUTS] = [&[]; MAX_OUTPUTS];
        let count = self.used.len();
        for (slot, used) in values.iter_mut().zip(&mut self.used) {
            *slot = used.values(outputs)?;
        }
        take(values.get(..count).unwrap_or_default());
        Ok(())
    }
}

impl Used {
    fn values<'v>(&'v mut self, outputs: &'v SessionOutputs<'_>) -> Result<&'v [f32], String> {
        let output: &DynValue = outputs
            .get(&self.name)
            .ok_or_else(|| format!("the output {} is missing", self.name))?;
        let in_words = |error: ort::Error| error.to_string();
        let (shape, values) = if matches!(
            output.dtype(),
            ValueType::Tensor {
                ty: TensorElementType::Float16,
                ..
            }
        ) {
            let (shape, halves) = output.try_extract_tensor::<f16>().map_err(in_words)?;
            self.halves.resize(halves.len(), 0.0);
            halves.convert_to_f32_slice(&mut self.halves);
            (shape, self.halves.as_slice())
        } else {
            output.try_extract_tensor::<f32>().map_err(in_words)?
        };
        if shape[..] != self.shape[..] {
            let (is, was) = (times(shape), times(&self.shape));
            return Err(format!("an output changed its shape from {was} to {is}"));
        }
        Ok(values)
    }
}
