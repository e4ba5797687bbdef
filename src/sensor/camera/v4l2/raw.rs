//! Pictures that `nokhwa` cannot ask for: grey ones, whose name it misspells, and sizes and rates that a camera gives as
//! ranges or as fractions of a second. Straight from the driver, through the library below `nokhwa`.

use std::io;
use std::time::Duration;

use v4l::buffer::Type;
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::{Device, Format};

use crate::sensor::camera::Frame;

/// How long one look for a picture takes at most.
const LOOK: Duration = Duration::from_millis(500);
/// Pictures in the driver's hands.
const BUFFERS: u32 = 4;
/// More than V4L2 gives out (`VIDEO_MAX_FRAME`).
const MOST_BUFFERS: usize = 32;

/// A camera that delivers.
pub(super) struct Raw {
    stream: Stream<'static>,
    pub(super) format: Format,
}

impl Raw {
    /// Takes the pictures in the format that the device has been set to.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn start(device: &Device, format: Format) -> io::Result<Self> {
        let mut stream = Stream::with_buffers(device, Type::VideoCapture, BUFFERS)?;
        stream.set_timeout(LOOK);
        // The first buffer is the library's to hand over, when it is asked for the first picture. How many there are is
        // the driver's choice: it refuses one more than that.
        let others = (1..).map(|index| CaptureStream::queue(&mut stream, index));
        let refused = others.take(MOST_BUFFERS).find_map(Result::err);
        if let Some(why) = refused.filter(|why| why.raw_os_error() != Some(libc::EINVAL)) {
            return Err(why);
        }
        stream.start()?;
        Ok(Self { stream, format })
    }

    /// The next picture's bytes; `None` when none came in a moment.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        // The library hands the last picture's buffer back before it waits, and after a wait in vain once more, which the
        // driver refuses: it is asked only when there is a picture.
        match self
            .stream
            .handle()
            .poll(libc::POLLIN, LOOK.as_millis() as i32)
        {
            Ok(0) => return Ok(None),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => return Ok(None),
            ready => ready?,
        };
        self.stream.next().map(|(bytes, _)| Some(bytes))
    }
}

/// GREY (V4L2's name): a byte of luma for each pixel, `stride` bytes a row. Rows that `bytes` lacks stay as they were.
pub(super) fn grey_to_rgb(bytes: &[u8], width: u32, height: u32, stride: u32, frame: &mut Frame) {
    (frame.width, frame.height) = (width, height);
    frame.rgb.resize(width as usize * height as usize * 3, 0);
    let rows = frame.rgb.chunks_exact_mut((width as usize * 3).max(1));
    let stride = stride.max(width).max(1) as usize;
    for (rgb, row) in rows.zip(bytes.chunks(stride)) {
        for (rgb, luma) in rgb.as_chunks_mut().0.iter_mut().zip(row) {
            *rgb = [*luma; 3];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_is_spread_over_three_colours_and_the_padding_of_rows_is_left_out() {
        let mut frame = Frame::default();
        grey_to_rgb(&[1, 2, 99, 3, 4], 2, 2, 3, &mut frame);
        assert_eq!((frame.width, frame.height), (2, 2));
        assert_eq!(frame.rgb, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
        grey_to_rgb(&[7], 2, 2, 0, &mut frame);
        assert_eq!(frame.rgb, [7, 7, 7, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
        grey_to_rgb(&[], 0, 0, 0, &mut frame);
        assert!(frame.rgb.is_empty());
    }
}
