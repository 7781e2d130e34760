//! What each look at the gates found.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::{Db, gate_checks};
use super::Session;
use super::many::insert_checks;
use super::rows::{from_json, to_json};
use crate::domain::failure::FailureReason;
use crate::domain::gate::{CHECKS_KEPT, Finding, Findings, Gate, GateCheck, Verdict, VerdictKind};
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::time::Time;
use crate::storage::values::{Id, Ts};
use crate::storage::{Error, GateStore, Result, Tx};

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = gate_checks, check_for_backend(Db))]
pub struct GateCheckRow {
    pub voicemail_id: Id,
    pub number: i32,
    pub workspace_id: i64,
    pub check_time: Ts,
    pub last_time: Ts,
    pub findings: String,
    pub rules_version: String,
}

/// A finding as it stands in the column: short names, because there are many.
#[derive(Serialize, Deserialize)]
struct Kept {
    gate: i16,
    verdict: i16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<i16>,
    why: String,
    inputs: Vec<(String, String)>,
}

impl Kept {
    fn of(finding: &Finding) -> Kept {
        let (until, reason) = match finding.verdict {
            Verdict::Pass => (None, None),
            Verdict::Hold { until } => (Some(until.micros()), None),
            Verdict::Refuse { reason } => (None, Some(reason as i16)),
        };
        Kept {
            gate: finding.gate as i16,
            verdict: finding.verdict.kind() as i16,
            until,
            reason,
            why: finding.why.clone(),
            inputs: finding.inputs.clone(),
        }
    }

    fn read(self) -> Option<Finding> {
        let verdict = match VerdictKind::from_code(self.verdict)? {
            VerdictKind::Pass => Verdict::Pass,
            VerdictKind::Hold => Verdict::Hold {
                until: Time::from_micros(self.until?),
            },
            VerdictKind::Refuse => Verdict::Refuse {
                reason: FailureReason::from_code(self.reason?)?,
            },
        };
        Some(Finding {
            gate: Gate::from_code(self.gate)?,
            verdict,
            why: self.why,
            inputs: self.inputs,
        })
    }
}

impl GateCheckRow {
    fn read(self) -> Result<GateCheck> {
        let kept: Vec<Kept> = from_json("gate_checks", &self.findings)?;
        let findings: Option<Vec<Finding>> = kept.into_iter().map(Kept::read).collect();
        let odd = || Error::inconsistent("gate_checks", "a finding is of an unknown kind");
        Ok(GateCheck {
            number: self.number,
            time: self.check_time.0,
            last_time: self.last_time.0,
            found: Findings {
                findings: findings.ok_or_else(odd)?,
                rules_version: self.rules_version,
            },
        })
    }
}

/// Do both hold it, and say the same about it?
fn is_same(last: &Findings, found: &Findings) -> bool {
    let hold = |findings: &Findings| match findings.decisive() {
        Some(finding) if finding.verdict.kind() == VerdictKind::Hold => {
            Some((finding.gate, finding.why.clone()))
        }
        _ => None,
    };
    hold(found).is_some() && hold(last) == hold(found)
}

impl GateStore for Session<'_> {
    fn keep_gate_check(
        &mut self,
        workspace: WorkspaceId,
        voicemail: VoicemailId,
        found: &Findings,
    ) -> Result<()> {
        let now = self.now()?;
        let kept: Vec<Kept> = found.findings.iter().map(Kept::of).collect();
        let findings = to_json("gate_checks", &kept)?;
        let known = self.known(|known| known.last_checks.get(&voicemail));
        let is_ahead = known.is_some();
        let last = match known {
            Some(last) => last,
            None => self.last_check(voicemail)?,
        };
        let number = last.as_ref().map_or(1, |last| last.number + 1);
        // One that can't be read is no reason not to send: it stays, and this one stands beside it.
        let last = last.and_then(|last| last.read().ok());
        if let Some(last) = last.filter(|last| is_same(&last.found, found)) {
            let rows = diesel::update(gate_checks::table.find((Id::from(voicemail), last.number)))
                .set((
                    gate_checks::last_time.eq(Ts(now)),
                    gate_checks::findings.eq(findings),
                    gate_checks::rules_version.eq(&found.rules_version),
                ))
                .execute(self.settled()?)?;
            self.forget_check(voicemail);
            return Error::unless_one("gate_checks", rows);
        }
        let row = GateCheckRow {
            voicemail_id: voicemail.into(),
            number,
            workspace_id: workspace.0,
            check_time: Ts(now),
            last_time: Ts(now),
            findings,
            rules_version: found.rules_version.clone(),
        };
        match &mut self.together {
            Some(together) if is_ahead => {
                together.last_checks.insert(voicemail, Some(row.clone()));
                together.put_off.checks.push(row);
            }
            _ => insert_checks(self.settled()?, &[row])?,
        }
        let oldest = number - CHECKS_KEPT + 1;
        if oldest > 1 {
            diesel::delete(gate_checks::table.find((Id::from(voicemail), oldest)))
                .execute(self.settled()?)?;
        }
        Ok(())
    }

    fn gate_checks(&mut self, voicemail: VoicemailId) -> Result<Vec<GateCheck>> {
        let rows: Vec<GateCheckRow> = gate_checks::table
            .filter(gate_checks::voicemail_id.eq(Id::from(voicemail)))
            .order(gate_checks::number)
            .select(GateCheckRow::as_select())
            .load(self.settled()?)?;
        rows.into_iter().map(GateCheckRow::read).collect()
    }
}

impl Session<'_> {
    fn last_check(&mut self, voicemail: VoicemailId) -> Result<Option<GateCheckRow>> {
        Ok(gate_checks::table
            .filter(gate_checks::voicemail_id.eq(Id::from(voicemail)))
            .order(gate_checks::number.desc())
            .select(GateCheckRow::as_select())
            .first(self.settled()?)
            .optional()?)
    }

    /// It was written past what is known of it.
    fn forget_check(&mut self, voicemail: VoicemailId) {
        if let Some(together) = &mut self.together {
            together.last_checks.remove(&voicemail);
        }
    }
}
