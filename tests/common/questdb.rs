//! A real QuestDB on free ports of loopback, for one test.
//!
//! Its jar is looked for at the path in `TAPEWATCH_QUESTDB_JAR`, otherwise in `target/servers`, where `.ci/servers`
//! puts it. `TAPEWATCH_QUESTDB_JAR=absent` says that there is none, and that whoever set it knows.
#![allow(dead_code, reason = "each integration test is a crate of its own and uses what it needs")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tapewatch::runtime::clock::{self, Stopwatch};
use tapewatch::storage::config::QuestDbConfig;
use tapewatch::storage::questdb::client::Client;

/// The version that everything is tried with.
pub const VERSION: &str = "9.3.4";
const START_DEADLINE: Duration = Duration::from_secs(300);

pub struct Server {
    child: Child,
    jar: PathBuf,
    dir: tempfile::TempDir,
    pub http_address: String,
    /// Its own health and metrics.
    pub min_address: String,
    /// PostgreSQL's protocol; [`READER`] may read.
    pub pg_address: String,
}

/// Name and password of a user who may only read, as docker-compose.yml has one for Grafana.
pub const READER: (&str, &str) = ("grafana", "of the reader");

/// A running server; `None`, with a line that says so, where it cannot be had.
///
/// # Panics
///
/// Where the variable `CI` is set: a test that needs the server must not pass there unrun, unless its
/// absence was declared.
pub fn start() -> Option<Server> {
    let named = std::env::var_os("TAPEWATCH_QUESTDB_JAR").map(PathBuf::from);
    let jar = named.clone().unwrap_or_else(|| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/servers/questdb-{VERSION}.jar"))
    });
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).stdout(Stdio::null()).status();
    if !jar.is_file() || java.is_err() {
        assert!(
            std::env::var_os("CI").is_none() || named.is_some_and(|jar| jar.as_os_str() == "absent"),
            "CI is set and {} or java is missing: run .ci/servers, or set TAPEWATCH_QUESTDB_JAR to a jar or to \"absent\"",
            jar.display()
        );
        println!("skipped: {} or java is missing (.ci/servers fetches the jar)", jar.display());
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (http, min, pg) = (port(), port(), port());
    fs::create_dir_all(dir.path().join("q/conf")).unwrap();
    fs::create_dir_all(dir.path().join("tmp")).unwrap();
    let settings = format!(
        "telemetry.enabled=false\nhttp.bind.to=127.0.0.1:{http}\nhttp.min.net.bind.to=127.0.0.1:{min}\n\
         pg.net.bind.to=127.0.0.1:{pg}\npg.readonly.user.enabled=true\npg.readonly.user={}\n\
         pg.readonly.password={}\nline.tcp.enabled=false\nmetrics.enabled=true\nshared.worker.count=2\n\
         http.min.worker.count=1\nline.auto.create.new.tables=false\nline.auto.create.new.columns=false\n\
         dev.mode.enabled=true\ncairo.writer.data.append.page.size=256k\n\
         cairo.writer.data.index.key.append.page.size=256k\ncairo.writer.data.index.value.append.page.size=256k\n\
         cairo.system.writer.data.append.page.size=64k\ncairo.wal.writer.data.append.page.size=128k\n\
         cairo.o3.column.memory.size=256k\n",
        READER.0, READER.1,
    );
    fs::write(dir.path().join("q/conf/server.conf"), settings).unwrap();
    let address = |port: u16| format!("127.0.0.1:{port}");
    let child = spawn(&jar, dir.path());
    let (http_address, min_address, pg_address) = (address(http), address(min), address(pg));
    let mut server = Server { child, jar, dir, http_address, min_address, pg_address };
    server.wait();
    Some(server)
}

fn spawn(jar: &Path, dir: &Path) -> Child {
    Command::new("java")
        .args(["-Xmx512m", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Djava.io.tmpdir={}", dir.join("tmp").display()))
        .arg("-jar")
        .arg(jar)
        .arg("-d")
        .arg(dir.join("q"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Server {
    pub fn config(&self) -> QuestDbConfig {
        QuestDbConfig { enabled: true, http_address: self.http_address.clone(), ..QuestDbConfig::default() }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.child = spawn(&self.jar, self.dir.path());
    }

    pub fn wait(&mut self) {
        let client = Client::new(&self.config());
        let waited = Stopwatch::start();
        while client.query("SELECT 1").is_err() {
            assert!(waited.elapsed() < START_DEADLINE, "QuestDB did not start");
            // One of its ports may be that of somebody's connection for a moment.
            if self.child.try_wait().unwrap().is_some() {
                self.start_again();
            }
            clock::sleep(Duration::from_millis(20));
        }
    }

    /// The rows of a query, values joined by blanks.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let rows = Client::new(&self.config()).query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        rows.dataset.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
