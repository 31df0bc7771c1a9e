//! The program: everything it does starts in `app/cli.rs`.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use tapewatch::app::cli;

// What shards tell is freed by the threads of the sinks. glibc's allocator gathers such pieces and puts them in order when
// a larger one is asked for, as a socket's buffer is: that took some 60 us, and a trade had to wait for it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
