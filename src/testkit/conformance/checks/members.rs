//! The proof behind every membership that ends: the second reading.

use super::super::report::{Verdict, ensure, failed};
use super::super::stage::{Stage, group, person};
use crate::endpoint::Membership;
use crate::model::SourceId;

async fn ask(stage: &Stage, of: &SourceId, members: &[SourceId]) -> Verdict<Vec<Membership>> {
    let group = group(of);
    let answers = stage.told("check_members", stage.endpoint.check_members(&stage.cx, &group, members)).await?;
    ensure(answers.len() == members.len(), format!("{} answers", members.len()), || answers.len().to_string())?;
    Ok(answers)
}

/// Members and others in turn, backwards, one of them twice.
pub(super) async fn answers_in_the_order_asked(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let large = people.large()?;
    let mut asked: Vec<_> = people.users.iter().rev().cloned().collect();
    asked.push(asked[0].clone());
    let left: Vec<_> = people.users.iter().step_by(3).cloned().collect();
    stage.remote.remove_members(&large, &left).await?;
    let answers = ask(stage, &large, &asked).await?;
    for (member, answer) in asked.iter().zip(&answers) {
        let expected = if left.contains(member) { Membership::NotMember } else { Membership::Member };
        ensure(*answer == expected, format!("{member} is {expected:?}"), || format!("{answer:?}"))?;
    }
    Ok(())
}

/// Behind a listing that showed otherwise.
pub(super) async fn asks_anew(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let large = people.large()?;
    let new = stage.remote.put_user(&person(500)).await?;
    stage.list().await?;
    stage.remote.remove_members(&large, &people.users[..1]).await?;
    stage.remote.add_members(&large, std::slice::from_ref(&new)).await?;
    let answers = ask(stage, &large, &[people.users[0].clone(), new, people.users[1].clone()]).await?;
    let expected = [Membership::NotMember, Membership::Member, Membership::Member];
    ensure(answers == expected, format!("{expected:?}"), || format!("{answers:?}"))
}

/// The group's members cannot be read, or nobody answers.
pub(super) async fn says_unknown_in_doubt(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let large = people.large()?;
    let asked = people.users[..2].to_vec();
    let mut tried = stage.remote.deny_members(&large).await;
    if tried.is_ok() {
        doubt(stage, &large, &asked, "the members may not be read").await?;
        tried = stage.remote.heal().await;
    }
    for nth in 1..=20 {
        if let Err(declined) = stage.remote.fail_from_call(nth).await {
            return Ok(tried.map_err(|_| declined)?);
        }
        stage.renew();
        doubt(stage, &large, &asked, &format!("nobody answered from call {nth} on")).await?;
        stage.remote.heal().await?;
    }
    Ok(())
}

async fn doubt(stage: &Stage, large: &SourceId, asked: &[SourceId], why: &str) -> Verdict {
    let group = group(large);
    match stage.wait("check_members", stage.endpoint.check_members(&stage.cx, &group, asked)).await? {
        Ok(answers) if answers.contains(&Membership::NotMember) => {
            failed(format!("unknown or an error, as {why}"), format!("{answers:?}"))
        }
        _ => Ok(()),
    }
}
