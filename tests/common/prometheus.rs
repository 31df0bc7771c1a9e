//! A real Prometheus on a free port of loopback, for one test.
//!
//! `prometheus` and `promtool` are looked for in the folder that `TAPEWATCH_PROMETHEUS` names, otherwise in
//! `target/servers`, where `.ci/servers` puts them, otherwise in `PATH`. `TAPEWATCH_PROMETHEUS=absent` says that
//! there are none, and that whoever set it knows.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tapewatch::runtime::clock::{self, Stopwatch};
use ureq::Agent;

const START_DEADLINE: Duration = Duration::from_secs(300);

/// Where the programs are.
pub struct Programs {
    folder: PathBuf,
}

/// The programs; `None`, with a line that says so, where they cannot be had.
///
/// # Panics
///
/// Where the variable `CI` is set: a test that needs them must not pass there unrun, unless their absence was
/// declared.
pub fn programs() -> Option<Programs> {
    let named = std::env::var_os("TAPEWATCH_PROMETHEUS").map(PathBuf::from);
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/prometheus/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = match &named {
        Some(folder) => vec![folder.clone()],
        None => std::iter::once(fetched).chain(std::env::split_paths(&path)).collect(),
    };
    let is_whole =
        |folder: &PathBuf| ["prometheus", "promtool"].iter().all(|name| folder.join(name).is_file());
    let found = folders.into_iter().find(is_whole);
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none() || named.is_some_and(|folder| folder.as_os_str() == "absent"),
            "CI is set and prometheus or promtool is missing: run .ci/servers, or set TAPEWATCH_PROMETHEUS to their folder or to \"absent\""
        );
        println!("skipped: prometheus or promtool is missing (.ci/servers fetches them)");
    }
    found.map(|folder| Programs { folder })
}

impl Programs {
    /// Runs `promtool` with the text as its input; what it says, where it is not content.
    pub fn promtool(&self, arguments: &[&str], input: &str) -> Result<(), String> {
        let mut child = Command::new(self.folder.join("promtool"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may have said no before it read everything.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        if output.status.success() { Ok(()) } else { Err(said.concat()) }
    }

    /// Starts the server with a configuration whose other files lie beside it.
    pub fn start(&self, config: &Path) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(self.folder.join("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut server = Server { child: command.spawn().unwrap(), dir, address };
        let waited = Stopwatch::start();
        while get(&format!("http://{}/-/ready", server.address), &[]).is_err() {
            assert!(waited.elapsed() < START_DEADLINE, "Prometheus did not start: {}", server.log());
            // Its port may be that of somebody's connection for a moment.
            if server.child.try_wait().unwrap().is_some() {
                server.child = command.spawn().unwrap();
            }
            clock::sleep(Duration::from_millis(50));
        }
        server
    }
}

/// A running server; it ends when it is dropped.
pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    address: String,
}

impl Server {
    /// `data` of an answer of its HTTP API, or what it says instead.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let text = get(&format!("http://{}/api/v1/{path}", self.address), parameters)?;
        let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match answer["status"] == "success" {
            true => Ok(answer["data"].take()),
            false => Err(answer["error"].to_string()),
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an answer 200; the whole answer otherwise.
fn get(url: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
    let agent: Agent = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut request = agent.get(url);
    for (name, value) in parameters {
        request = request.query(name, value);
    }
    let mut answer = request.call().map_err(|error| error.to_string())?;
    let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
    if answer.status().as_u16() == 200 { Ok(text) } else { Err(format!("{}: {text}", answer.status())) }
}
