//! The model's input tensor, in the type the model takes: 32-bit or 16-bit floats, or grey levels as bytes.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

use crate::sensor::camera::Frame;
use crate::sensor::vision::decode::{Misfit, times};
use crate::sensor::vision::letterbox::{Letterbox, Placement};
use crate::sensor::vision::manifest::Input;

/// The tensor; made once, filled for every frame.
pub(super) struct Feed {
    tensor: DynValue,
    kind: Kind,
    /// The values as 32-bit floats, where the tensor holds another type.
    values: Vec<f32>,
}

#[derive(Clone, Copy)]
enum Kind {
    Float32,
    Float16,
    Uint8,
}

impl Feed {
    /// A tensor of zeros for a model with `inputs`, in the manifest's size. What the model leaves open fits everything.
    ///
    /// # Errors
    /// What the model takes instead, with the manifest's key where one is wrong.
    pub(super) fn fit(input: &Input, inputs: &[Outlet]) -> Result<Self, String> {
        let [only] = inputs else {
            let names: Vec<&str> = inputs.iter().map(Outlet::name).collect();
            let (count, names) = (names.len(), names.join(", "));
            return Err(format!(
                "it has {count} inputs ({names}), and only a picture can be given to it"
            ));
        };
        let ValueType::Tensor { ty, shape, .. } = only.dtype() else {
            return Err(format!(
                "its input {} is {} and no tensor",
                only.name(),
                only.dtype()
            ));
        };
        check(input, *ty, shape)
            .map_err(|misfit| format!("{misfit} (input {}, {ty} {})", only.name(), times(shape)))?;
        let shape = [1, 3, i64::from(input.height), i64::from(input.width)];
        let length = 3 * input.width as usize * input.height as usize;
        let (kind, tensor) = match ty {
            TensorElementType::Float16 => {
                let tensor = Tensor::from_array((shape, vec![f16::ZERO; length]));
                (Kind::Float16, tensor.map(Tensor::into_dyn))
            }
            TensorElementType::Uint8 => {
                let tensor = Tensor::from_array((shape, vec![0u8; length]));
                (Kind::Uint8, tensor.map(Tensor::into_dyn))
            }
            _ => {
                let tensor = Tensor::from_array((shape, vec![0f32; length]));
                (Kind::Float32, tensor.map(Tensor::into_dyn))
            }
        };
        let tensor = tensor.map_err(|error| format!("no tensor of {}: {error}", times(&shape)))?;
        let values = match kind {
            Kind::Float32 => Vec::new(),
            Kind::Float16 | Kind::Uint8 => vec![0.0; length],
        };
        Ok(Self {
            tensor,
            kind,
            values,
        })
    }

    pub(super) const fn tensor(&self) -> &DynValue {
        &self.tensor
    }

    /// Puts a frame into the tensor.
    ///
    /// # Errors
    /// What is wrong with the frame, in words.
    pub(super) fn fill(
        &mut self,
        letterbox: &mut Letterbox,
        frame: &Frame,
    ) -> Result<Placement, String> {
        match self.kind {
            Kind::Float32 => {
                let (_, tensor) = self.tensor.try_extract_tensor_mut().map_err(in_words)?;
                letterbox.fill(frame, tensor)
            }
            Kind::Float16 => {
                let placement = letterbox.fill(frame, &mut self.values)?;
                let (_, tensor) = self
                    .tensor
                    .try_extract_tensor_mut::<f16>()
                    .map_err(in_words)?;
                tensor.convert_from_f32_slice(&self.values);
                Ok(placement)
            }
            Kind::Uint8 => {
                let placement = letterbox.fill(frame, &mut self.values)?;
                let (_, tensor) = self
                    .tensor
                    .try_extract_tensor_mut::<u8>()
                    .map_err(in_words)?;
                for (byte, grey) in tensor.iter_mut().zip(&self.values) {
                    *byte = *grey as u8; // whole grey levels, as `check` has seen to
                }
                Ok(placement)
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn in_words(error: ort::Error) -> String {
    error.to_string()
}

/// Holds the model's input against the manifest's.
fn check(input: &Input, ty: TensorElementType, shape: &[i64]) -> Result<(), Misfit> {
    let misfit = |key, why: &str| {
        Err(Misfit {
            key,
            why: why.to_owned(),
        })
    };
    match ty {
        TensorElementType::Float32 | TensorElementType::Float16 => {}
        TensorElementType::Uint8 => {
            if (0..3).any(|channel| input.affine(channel) != (1.0, 0.0)) {
                return misfit(
                    "input.scale, input.mean, input.std",
                    "the model takes grey levels as bytes: leave them out",
                );
            }
        }
        _ => return misfit("file", "the model must take float32, float16 or uint8"),
    }
    let &[batch, channels, height, width] = shape else {
        return misfit(
            "input",
            "the model must take four dimensions, 1×3×height×width",
        );
    };
    let differs = |is: i64, want: u32| is >= 0 && is != i64::from(want);
    if differs(channels, 3) {
        return misfit(
            "input.layout",
            "nchw, the model must take 3 colours in the second place",
        );
    }
    if differs(batch, 1) {
        return misfit("file", "the model must take one picture at a time");
    }
    for (key, is, want) in [
        ("input.width", width, input.width),
        ("input.height", height, input.height),
    ] {
        if differs(is, want) {
            return misfit(key, &format!("{want}, the model takes {is}"));
        }
    }
    Ok(())
}
