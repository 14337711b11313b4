//! Child processes that die with this one, however this one ends: the kernel kills them (`setpriv --pdeathsig`) when
//! the thread that started them is gone, so one thread that lives for ever starts them all.

use super::wait;
use anyhow::Context;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

/// How long a process may take to end after it was asked to.
const TO_END: Duration = Duration::from_secs(20);

/// A command whose process dies with this one. Add arguments, then [`spawn`] it.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref()).stdin(Stdio::null());
    command
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a command from the thread that lives as long as this process.
pub fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Who gave the order waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    let gone = |_| io::Error::other("the starter thread is gone");
    STARTER.lock().unwrap().send((command, answer)).map_err(|_| gone(mpsc::RecvError))?;
    child.recv().map_err(gone)?
}

/// A running process that can be signalled; killed when dropped.
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command`; `name` stands in messages.
    pub fn start(name: &str, command: Command) -> anyhow::Result<Self> {
        let child = spawn(command).with_context(|| format!("cannot start {name} (is util-linux's setpriv there?)"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The child itself, to take its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name))
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.kill_and_reap();
    }

    /// SIGTERM, and waits until it has ended by itself; panics if it does not.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        wait::find(&format!("{} to end after SIGTERM", self.name), TO_END, || self.ended())
    }

    /// SIGTERM, and SIGKILL if that is not enough: for what is no subject of a test.
    pub fn stop_or_kill(mut self) {
        self.signal("TERM");
        if wait::poll(TO_END, || self.ended()).is_none() {
            self.kill_and_reap();
        }
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send SIG{signal} to {} (process {id})", self.name);
    }

    fn kill_and_reap(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_and_reap();
    }
}
