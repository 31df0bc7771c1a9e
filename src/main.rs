//! The program: everything it does starts in `app/cli.rs`.

use std::process::ExitCode;

use tapewatch::app::cli;

fn main() -> ExitCode {
    cli::main()
}
