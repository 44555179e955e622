//! Notices of the feed: how they are said, and what somebody makes of them.

use clap::Args;
use serde_json::json;
use tenantry::model::{Answer, CustomerId, Notice, NoticeId, Severity};

use crate::output::Output;
use crate::place::Place;
use crate::status::Ended;

/// Notices that something is said of.
#[derive(Debug, Args)]
pub(crate) struct Notices {
    /// Their ids, as the feed tells them.
    #[arg(required = true, value_name = "NOTICE")]
    ids: Vec<String>,
    /// Who says it.
    #[arg(long, value_name = "WHO", default_value = "browse_tenant")]
    by: String,
}

pub(crate) fn show(customer: &CustomerId, several: bool, notice: &Notice, output: &mut Output) -> Result<(), Ended> {
    if output.is_json() {
        return output.json(&json!({ "type": "tenantry.notice", "customer": customer, "notice": notice }));
    }
    let sign = match notice.severity {
        Severity::Critical => "!!",
        Severity::Warning => "! ",
        Severity::Info => "i ",
    };
    let of = if several { format!("{customer} ") } else { String::new() };
    let since = notice.since.map(|since| format!(" since {since}")).unwrap_or_default();
    let answered = notice.answered.as_ref().map(|one| {
        let what = if one.answer == Answer::Dismissed { "dismissed" } else { "seen" };
        format!(" ({what} by {}, {})", one.by, one.at)
    });
    let answered = answered.unwrap_or_default();
    output.line(&format!("{sign} {of}{}{since}: {}{answered}", notice.topic.as_str(), notice.text))?;
    output.line(&format!("     to do: {}", notice.remedy))?;
    output.line(&format!("     {}", notice.id))
}

pub(crate) async fn answer(
    place: &Place,
    notices: &Notices,
    answer: Option<Answer>,
    output: &mut Output,
) -> Result<(), Ended> {
    let customer = place.one_customer()?;
    for id in &notices.ids {
        let id = NoticeId::parse(id)?;
        match answer {
            Some(answer) => place.directory.answer(customer, &id, answer, &notices.by).await?,
            None => place.directory.take_answer_back(customer, &id).await?,
        }
        if output.is_json() {
            output.json(&json!({ "customer": customer, "notice": id, "answer": answer }))?;
        } else {
            let what = match answer {
                Some(Answer::Acknowledged) => "acknowledged",
                Some(Answer::Dismissed) => "dismissed",
                None => "reopened",
            };
            output.line(&format!("{id}: {what}"))?;
        }
    }
    Ok(())
}
