//! What every part understands on its command line.

use std::path::PathBuf;

/// `--json FILE` and `--quick`; the rest is each part's own.
#[derive(Debug, Default)]
pub struct Options {
    /// Where the figures are written, besides being shown.
    pub json: Option<PathBuf>,
    /// A few rounds alone: enough to see that it runs to its end, too few to believe the figures.
    pub quick: bool,
    /// What else was given.
    pub others: Vec<String>,
}

impl Options {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// `--json` without a file.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => {
                    let file = arguments.next();
                    options.json = Some(file.ok_or("--json needs a file: --json FILE")?.into());
                }
                "--quick" => options.quick = true,
                // `cargo bench` gives it to every benchmark.
                "--bench" => {}
                _ => options.others.push(argument),
            }
        }
        Ok(options)
    }
}
