//! A Postgres server of a test's own, which it can stop and start as it likes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

pub struct OwnPostgres {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
}

impl OwnPostgres {
    /// Of the programs that are on the PATH where the tests' shared server is.
    pub fn start() -> OwnPostgres {
        let _same_demand_as_the_shared_server = super::server_url();
        let folder = tempfile::tempdir().unwrap();
        let port = super::later_address().port();
        let mut own = OwnPostgres {
            folder,
            port,
            server: None,
        };
        give_away(own.folder.path());
        let data = own.data();
        run(own
            .command("initdb")
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(data));
        own.go_on();
        own
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// From now on it is a standby, which only reads, until it is promoted. To be said while it is
    /// stopped.
    pub fn become_a_standby(&self) {
        std::fs::write(self.data().join("standby.signal"), "").unwrap();
    }

    /// Starts it again, and comes back when it takes connections.
    pub fn go_on(&mut self) {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        self.server = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while PgConnection::establish(&self.url()).is_err() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends every connection and the server.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            run(Command::new("kill").args(["-INT", &server.id().to_string()]));
            server.wait().unwrap();
        }
    }

    pub fn sql(&self, sql: &str) {
        let mut conn = PgConnection::establish(&self.url()).unwrap();
        for statement in sql.split(';') {
            conn.batch_execute(statement).unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        server_command(program, self.folder.path())
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What refuses to run as root, as Postgres and PgBouncer do. It ends with the thread that runs the
/// test.
pub fn server_command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = other_user() {
        command.args([&format!("--reuid={user}"), "--clear-groups"]);
    }
    command
        .arg(program)
        .env_remove("LC_ALL")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// To the user that [`server_command`] runs as.
pub fn give_away(folder: &Path) {
    if let Some(user) = other_user() {
        run(Command::new("chown").arg(user).arg(folder));
    }
}

/// Whose the server is where the tests run as root.
fn other_user() -> Option<&'static str> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        (output.status.success(), output.stdout)
    };
    let is_root = said("id", &["-u"]).1 == b"0\n";
    let has_postgres = said("id", &["postgres"]).0;
    is_root.then_some(if has_postgres { "postgres" } else { "nobody" })
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
