//! Programs that this one starts and talks with by lines. Each stops when its input ends, so that none outlives this one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// What has not been said by then never is.
const PATIENCE: Duration = Duration::from_secs(300);

/// One that runs. It is killed when this is dropped.
pub struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: UnboundedReceiver<String>,
}

impl Talk {
    /// Comes back when it has said `ready`.
    pub async fn start(command: &mut Command) -> anyhow::Result<Talk> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", command.get_program().display()))?;
        let input = child.stdin.take();
        let lines = child.stdout.take().context("its output is piped")?;
        let (said, output) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                // Where nobody listens any more, it still must be able to write.
                let _ = said.send(line);
            }
        });
        let mut talk = Talk {
            child,
            input,
            output,
        };
        talk.hear("ready").await?;
        Ok(talk)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to go on.
    pub fn nod(&mut self) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("its input is open")?;
        Ok(writeln!(input)?)
    }

    /// Waits for its next line, which begins with `word`; gives the numbers behind it.
    pub async fn hear(&mut self, word: &str) -> anyhow::Result<Vec<f64>> {
        let line = timeout(PATIENCE, self.output.recv())
            .await
            .with_context(|| format!("a program has not said {word:?}"))?
            .with_context(|| format!("a program ended before it said {word:?}"))?;
        let mut words = line.split_whitespace();
        if words.next() != Some(word) {
            bail!("a program said {line:?} in place of {word:?}");
        }
        Ok(words.map(str::parse).collect::<Result<_, _>>()?)
    }

    /// Ends its input, hears its last line, and comes back when it has ended.
    pub async fn end(mut self, last_word: &str) -> anyhow::Result<Vec<f64>> {
        drop(self.input.take());
        let last = self.hear(last_word).await?;
        let status = tokio::task::block_in_place(|| self.child.wait())?;
        ensure!(status.success(), "a program ended with {status}");
        Ok(last)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
