//! What suppressions and consents have in common: their scope, and lists of them as CSV.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tonic::Status;

use super::client::Client;
use super::find::{self, Meant};
use super::show;
use crate::grpc::pb;
use pb::scope::Scope as Narrowed;

/// Which sendings it is about; the whole workspace where neither is given.
#[derive(Debug, Clone, Args)]
pub struct ScopeArgs {
    /// Only about the sendings for this entity, such as "Elm Street Clinic"
    #[arg(long, value_name = "NAME", conflicts_with = "use_case")]
    entity: Option<String>,
    /// Only about this use case: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE")]
    use_case: Option<String>,
}

impl ScopeArgs {
    pub async fn find(self, client: &Client) -> anyhow::Result<Option<pb::Scope>> {
        let narrowed = match (self.entity, self.use_case) {
            (Some(entity), _) => Narrowed::EntityName(entity),
            (None, Some(given)) => {
                Narrowed::UseCaseId(find::use_case(client, &given, Meant::Sender).await?)
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(pb::Scope {
            scope: Some(narrowed),
        }))
    }
}

/// `workspace`, `entity Elm Street Clinic` or `use case 0197…`.
pub fn scope(scope: Option<&pb::Scope>) -> String {
    match scope.and_then(|scope| scope.scope.as_ref()) {
        None => "workspace".to_owned(),
        Some(Narrowed::EntityName(name)) => format!("entity {name}"),
        Some(Narrowed::UseCaseId(id)) => format!("use case {id}"),
    }
}

/// Where a CSV export goes.
#[derive(Debug, Args)]
pub struct Output {
    /// Where to write the CSV; without it, or with `-`, standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Output {
    /// Writes the chunks of an export as they come.
    pub async fn write(
        self,
        mut next: impl AsyncFnMut() -> Result<Option<prost::bytes::Bytes>, Status>,
    ) -> anyhow::Result<()> {
        let Some(path) = self.output.filter(|path| path.as_os_str() != "-") else {
            while let Some(chunk) = next().await? {
                show::put(&chunk)?;
            }
            return Ok(());
        };
        let place = || format!("`{}` can't be written", path.display());
        let mut file = std::fs::File::create(&path).with_context(place)?;
        while let Some(chunk) = next().await? {
            file.write_all(&chunk).with_context(place)?;
        }
        Ok(())
    }
}
