//! Random histories of an account. It knows no promise.

use serde_json::json;
use tenantry_fakes::google::{Account, Member};

/// A source of numbers that are the same for a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end.max(1) as u64).unwrap()
    }

    pub(crate) fn pick(&mut self, all: &[String]) -> Option<String> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }
}

/// Changes one thing, if there is something to change.
pub(crate) fn change(account: &Account, dice: &mut Dice, number: usize, deleted: &mut Vec<String>) -> Option<()> {
    let admin = |id: &String| account.user(id).is_some_and(|user| user["isAdmin"] == true);
    let users: Vec<_> = account.user_ids().into_iter().filter(|id| !admin(id)).collect();
    let groups = account.group_ids();
    match dice.below(12) {
        0 => drop(account.add_user(&format!("new{number}@corp.example"), "New", "Person", |_| {})),
        1 => account.rename_user(&dice.pick(&users)?, &format!("renamed{number}@corp.example")),
        2 => {
            let suspended = dice.below(2) == 0;
            account.suspend_user(&dice.pick(&users)?, suspended);
        }
        3 => {
            let user = dice.pick(&users)?;
            account.delete_user(&user);
            deleted.push(user);
        }
        4 => {
            let user = deleted.pop()?;
            account.undelete_user(&user);
        }
        5 => drop(account.add_group(&format!("group{number}@corp.example"), "New group", |_| {})),
        6 => account.edit_group(&dice.pick(&groups)?, |group| {
            group.insert("name".to_owned(), json!(format!("Called {number}")));
        }),
        7 => drop(account.delete_group(&dice.pick(&groups)?)),
        8 | 9 => {
            let (group, user) = (dice.pick(&groups)?, dice.pick(&users)?);
            if !account.member_ids(&group).contains(&user) {
                account.add_member(&group, Member::user(&user));
            }
        }
        10 => {
            let group = dice.pick(&groups)?;
            let member = dice.pick(&account.member_ids(&group))?;
            account.remove_member(&group, &member);
        }
        // An address that is free goes to somebody else.
        _ => {
            let user = dice.pick(&users)?;
            let email = account.user(&user)?["primaryEmail"].as_str()?.to_owned();
            account.delete_user(&user);
            deleted.retain(|id| *id != user);
            account.add_user(&email, "Second", "Owner", |_| {});
        }
    }
    Some(())
}
