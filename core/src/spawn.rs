//! The one place where the engine starts a task of its own, beside the command's, or leaves the threads that serve connections.
//!
//! A simulation suspends and kills processes together with all their tasks. It wraps them here: in unit tests, whatever a
//! future within the scope of [`WRAP`] spawns is wrapped as it says, and so is what that spawns in turn.

use std::future::Future;
#[cfg(test)]
use std::sync::Arc;

#[cfg(test)]
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

/// Makes the future that is run instead of a task.
#[cfg(test)]
pub(crate) type Wrap = Arc<dyn Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send + Sync>;

#[cfg(test)]
tokio::task_local! {
    /// How the tasks of this process are wrapped.
    pub(crate) static WRAP: Wrap;
}

/// Runs a task beside the caller.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[cfg(test)]
    if let Ok(wrap) = WRAP.try_with(Arc::clone) {
        let wrapped = wrap(Box::pin(task));
        return tokio::spawn(WRAP.scope(wrap, wrapped));
    }
    tokio::spawn(task)
}

/// Runs work that blocks away from the threads that serve connections. In a simulation, which has one thread, it runs at once: when
/// another thread was done would not be the seed's to decide.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(test)]
    if WRAP.try_with(|_| ()).is_ok() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The task is never aborted, so it only fails when it panics.
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_process_that_is_suspended_is_so_with_the_tasks_of_its_tasks() {
        let gate = Arc::new(Semaphore::new(0));
        let ran = Arc::new(Semaphore::new(0));
        let wrap: Wrap = {
            let gate = Arc::clone(&gate);
            Arc::new(move |task| {
                let gate = Arc::clone(&gate);
                Box::pin(async move {
                    gate.acquire().await.unwrap().forget();
                    task.await;
                })
            })
        };
        let counted = Arc::clone(&ran);
        let outer = async move {
            counted.add_permits(1);
            spawn(async move { counted.add_permits(1) }).await.unwrap();
        };
        let task = WRAP.sync_scope(wrap, || spawn(outer));
        tokio::task::yield_now().await;
        assert_eq!(ran.available_permits(), 0);
        gate.add_permits(1);
        ran.acquire().await.unwrap().forget();
        tokio::task::yield_now().await;
        assert_eq!(ran.available_permits(), 0, "the inner task waits for a permit of its own");
        gate.add_permits(1);
        task.await.unwrap();
        assert_eq!(ran.available_permits(), 1);
    }
}
