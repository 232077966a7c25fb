# SPDX-License-Identifier: Apache-2.0
"""The driving policy: imitation of the classical navigator (DAgger), then PPO by Stable-Baselines3, under the shield.

Worlds are generated: seeds from 1,000,000 for training, from 500,000 for validation. The published worlds of the BARN
benchmark are never seen. Both halves run in `axon/Navigate-v0` with the safety shield between policy and base, as on
the robot. PPO's critic sees the true way to the goal and only scores; it does not ship.
"""

from __future__ import annotations

import argparse
from collections import deque
from typing import Any

import numpy as np
import torch
from gymnasium.wrappers import OrderEnforcing
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor, nn

from axon_core.drive_observation import CONTRACT, MAP_SHAPE, VECTOR_SIZE
from axon_policy.model import FEATURES, DriveNetwork, Exported
from axon_sim.barn import generate_barn
from axon_sim.environments.navigate import PRIVILEGED_SIZE, NavigateConfig, NavigateEnv
from training.export import export_onnx
from training.harness import Run, Trained
from training.policy_imitation import Collectors, ShieldGuard, Store, act, imitate

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 500_000
VERSION = "1.0.0"
CRITIC_WARM_UP = 3
"""Rollouts in which only the critic learns, so that its first guesses do not undo what was imitated."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes of both halves; the defaults are those of the shipped network."""
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="rounds of imitation")
    parser.add_argument("--decisions", type=int, default=10_000, metavar="N", help="expert's answers a round")
    parser.add_argument("--steps", type=int, default=500, metavar="N", help="steps of regression after a round")
    parser.add_argument("--last-steps", type=int, default=1200, metavar="N", help="steps after the last round")
    parser.add_argument("--ppo-decisions", type=int, default=51_200, metavar="N", help="decisions of PPO; 0: none")
    parser.add_argument("--environments", type=int, default=16, metavar="N", help="PPO's environments")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that ask the expert")
    parser.add_argument("--validation", type=int, default=30, metavar="N", help="validation worlds")


def main(run: Run) -> Trained:
    """Imitate, improve by PPO, validate, export."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    state = run.load_checkpoint() or {"round": 0, "ppo": None}
    network = DriveNetwork()
    state = imitation(run, network, state)
    network.load_state_dict(state["network"])
    imitated = state["imitated"] = state.get("imitated") or validate(network, run.args.validation, ShieldGuard)
    run.log(**{f"imitated_{key}": value for key, value in imitated.items()})
    best, best_metrics = network, imitated
    if run.args.ppo_decisions:
        improved = reinforce(run, network, state)
        metrics = validate(improved, run.args.validation, ShieldGuard)
        run.log(**metrics)
        if merit(metrics) >= merit(imitated):
            best, best_metrics = improved, metrics
    bare = validate(best, run.args.validation, None)
    metrics = {
        **best_metrics,
        **{f"imitated_{key}": value for key, value in imitated.items()},
        **{f"unshielded_{key}": value for key, value in bare.items()},
    }
    return export(run, best, metrics)


def merit(metrics: dict[str, float]) -> float:
    """By what two networks are compared: success counts, and half a minute for each that fails."""
    return metrics["success"] - 2.0 * metrics["collision"] - 0.002 * metrics["time_mean_s"]


# --- imitation ----------------------------------------------------------------------------------------------------


def imitation(run: Run, network: DriveNetwork, state: dict[str, Any]) -> dict[str, Any]:
    """All rounds that are left; the learner drives more of the episodes with each."""
    if state["round"] >= run.args.rounds:
        return state
    args, store, rng = run.args, Store(run.folder / "demonstrations"), np.random.default_rng(run.seed)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    if state["round"]:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    count = state.get("count", 0)
    with Collectors(args.jobs) as collectors:
        coming = ask(run, collectors, network, state["round"])
        if count:  # of a training that was interrupted, which learns while it waits
            imitate(network, optimizer, store.read(count), args.steps, rng)
        while state["round"] < args.rounds:
            number = state["round"]
            store.keep(count)
            for part in (call.result() for call in coming):
                store.add(part)
                count += len(part.action)
            if number + 1 < args.rounds:
                coming = ask(run, collectors, network, number + 1)  # goes on while the network learns
            loss = learn_round(network, optimizer, store.read(count), args, rng, number == args.rounds - 1)
            state = {"round": number + 1, "count": count, "ppo": None, "network": network.state_dict(),
                     "optimizer": optimizer.state_dict()}  # fmt: skip
            run.save_checkpoint(**state)
            run.log(round=number, decisions=count, loss=loss)
    return state


def ask(run: Run, collectors: Collectors, network: DriveNetwork, number: int) -> list[Any]:
    """Begin to collect a round; the first is the expert's alone."""
    share, weights = (min(0.4 + 0.1 * number, 0.9), network.state_dict()) if number else (0.0, None)
    return collectors.ask(run.args.decisions, run.seed + number, share, weights, TRAINING_SEED)


def learn_round(network: Any, optimizer: Any, rows: Any, args: Any, rng: np.random.Generator, is_last: bool) -> float:
    """Regression on all that was collected; after the last round longer, ever more slowly."""
    loss = imitate(network, optimizer, rows, args.steps, rng)
    for rate in (5e-4, 2e-4, 5e-5) if is_last else ():
        optimizer.param_groups[0]["lr"] = rate
        loss = imitate(network, optimizer, rows, args.last_steps // 3, rng)
    return loss


# --- reinforcement ------------------------------------------------------------------------------------------------


class ActorAndCriticInput(BaseFeaturesExtractor):
    """Features of the scene and of its mirror image for the actor, then vector and truth for the critic."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, 2 * FEATURES + VECTOR_SIZE + PRIVILEGED_SIZE)
        self.network = DriveNetwork()

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        image, vector, network = observation["map"], observation["vector"], self.network
        images = torch.cat([image, image.flip(-1)])
        vectors = torch.cat([vector, vector[:, network.index] * network.sign])
        seen, mirrored = network.trunk(images, vectors).chunk(2)
        return torch.cat([seen, mirrored, vector, observation["privileged"]], dim=1)


class Split(nn.Module):
    """The actor's part as it is; the critic's through its own layers, and past them the length of the true way."""

    latent_dim_pi, latent_dim_vf = 2 * FEATURES, 129

    def __init__(self) -> None:
        super().__init__()
        inputs = VECTOR_SIZE + PRIVILEGED_SIZE
        self.critic = nn.Sequential(nn.Linear(inputs, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Tensor) -> Tensor:
        return features[:, : self.latent_dim_pi]

    def forward_critic(self, features: Tensor) -> Tensor:
        seen = features[:, self.latent_dim_pi :]
        return torch.cat([self.critic(seen), seen[:, VECTOR_SIZE : VECTOR_SIZE + 1]], dim=1)


class MirrorHead(nn.Module):
    """The head of `DriveNetwork` on the features of both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(FEATURES, 2)

    def forward(self, features: Tensor) -> Tensor:
        seen, mirrored = self.head(features[:, :FEATURES]), self.head(features[:, FEATURES:])
        return torch.cat([0.5 * (seen[:, :1] + mirrored[:, :1]), 0.5 * (seen[:, 1:] - mirrored[:, 1:])], dim=1)


class MirrorPolicy(MultiInputActorCriticPolicy):
    """SB3's actor and critic, with ours in their places."""

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = Split()

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net = MirrorHead()
        with torch.no_grad():  # a first guess: most of the way (in 5 m) will be driven, and the goal then reached
            self.value_net.weight[0, -1], self.value_net.bias[0] = 3.5, 3.0
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def take(self, network: DriveNetwork) -> None:
        """Begin with a network's weights."""
        self.features_extractor.network.load_state_dict(network.state_dict())
        self.action_net.head.load_state_dict(network.head.state_dict())

    def give(self) -> DriveNetwork:
        """The actor's mean as a network."""
        network = DriveNetwork()
        network.load_state_dict(self.features_extractor.network.state_dict())
        network.head.load_state_dict(self.action_net.head.state_dict())
        return network

    def freeze_actor(self, frozen: bool) -> None:
        """Let only the critic learn, or both."""
        for part in (self.features_extractor, self.action_net):
            part.requires_grad_(not frozen)
        self.log_std.requires_grad_(not frozen)


class Progress(BaseCallback):
    """Logs and saves after each rollout, and thaws the actor."""

    def __init__(self, run: Run, state: dict[str, Any]) -> None:
        super().__init__()
        self.run_, self.state = run, state
        self.rollouts, self.episodes = (state["ppo"] or {}).get("rollouts", 0), deque(maxlen=100)

    def _on_step(self) -> bool:
        for done, info in zip(self.locals["dones"], self.locals["infos"], strict=True):
            if done:
                self.episodes.append((info["success"], info["collision"], info["time_s"]))
        return True

    def _on_rollout_start(self) -> None:
        self.model.policy.freeze_actor(self.rollouts < CRITIC_WARM_UP)

    def _on_rollout_end(self) -> None:
        self.rollouts += 1
        if self.rollouts % 5 == 0:
            self._save()
        success, collision, time_s = np.mean(self.episodes, axis=0) if self.episodes else (np.nan,) * 3
        values = {key: float(v) for key, v in self.model.logger.name_to_value.items() if key.startswith("train/")}
        self.run_.log(
            ppo=self.model.num_timesteps, success=success, collision=collision, time_s=time_s,
            kl=values.get("train/approx_kl", np.nan), explained=values.get("train/explained_variance", np.nan),
            std=self.model.policy.log_std.exp().mean().item(),
        )  # fmt: skip

    def _save(self) -> None:
        policy = self.model.policy
        ppo = {"policy": policy.state_dict(), "optimizer": policy.optimizer.state_dict(),
               "decisions": self.model.num_timesteps, "rollouts": self.rollouts}  # fmt: skip
        self.run_.save_checkpoint(**{**self.state, "ppo": ppo})


def reinforce(run: Run, network: DriveNetwork, state: dict[str, Any]) -> DriveNetwork:
    """PPO from the imitated network on."""
    environments = DummyVecEnv([training_environment for _ in range(run.args.environments)])
    environments.seed(run.seed + 1 + ((state["ppo"] or {}).get("decisions", 0)))
    model = PPO(
        MirrorPolicy, environments, learning_rate=2.5e-4, n_steps=128, batch_size=128, n_epochs=3, gamma=0.985,
        gae_lambda=0.95, clip_range=0.15, target_kl=0.02, max_grad_norm=10.0, seed=run.seed, device="cpu",
        policy_kwargs={"features_extractor_class": ActorAndCriticInput, "normalize_images": False, "ortho_init": False,
                       "log_std_init": -1.5},
    )  # fmt: skip
    policy = model.policy
    policy.take(network)
    if state["ppo"]:
        policy.load_state_dict(state["ppo"]["policy"])
        policy.optimizer.load_state_dict(state["ppo"]["optimizer"])
    done = state["ppo"]["decisions"] if state["ppo"] else 0
    model.num_timesteps = done
    if done < run.args.ppo_decisions:
        model.learn(run.args.ppo_decisions - done, Progress(run, state), reset_num_timesteps=False)
    return policy.give().eval()


def training_environment() -> OrderEnforcing:
    """One environment of PPO."""
    config = NavigateConfig(first_seed=TRAINING_SEED, time_limit_s=25.0)
    return OrderEnforcing(NavigateEnv(config, ShieldGuard, privileged=True))


# --- validation and export ----------------------------------------------------------------------------------------


def validate(network: DriveNetwork, worlds: int, make_guard: Any) -> dict[str, float]:
    """Drive BARN's task in generated worlds of the validation seeds."""
    environment, ends = NavigateEnv(NavigateConfig(), make_guard), []
    for index in range(worlds):
        observation, _ = environment.reset(seed=index, options={"world": generate_barn(VALIDATION_SEED + index)})
        over = False
        while not over:
            observation, _, terminated, truncated, info = environment.step(act(network, observation))
            over = terminated or truncated
        ends.append((info["success"], info["collision"], info["time_s"]))
    success, collision, time_s = np.mean(ends, axis=0)
    return {"success": float(success), "collision": float(collision), "time_mean_s": float(time_s)}


def export(run: Run, network: DriveNetwork, metrics: dict[str, float]) -> Trained:
    """Write the ONNX file, with the name of the observation that it was trained on."""
    file, rng = run.folder / "policy.onnx", np.random.default_rng(0)
    inputs = {
        "map": torch.from_numpy(rng.integers(0, 256, (1, *MAP_SHAPE)).astype(np.uint8)),
        "vector": torch.from_numpy(rng.uniform(-1, 1, (1, VECTOR_SIZE)).astype(np.float32)),
    }
    export_onnx(Exported(network), inputs, ["action"], file)
    return Trained(
        file=file,
        version=VERSION,
        task="navigation",
        description=(
            "Drives a differential base to a goal: from the surroundings as its scanner has shown them (a local map "
            "and sectors of nearest hits), the goal and the velocity, to a forward and a turning speed, ten times a "
            "second. A mirrored scene has exactly the mirrored action."
        ),
        evaluation=(
            f"{run.args.validation} generated worlds like BARN's (seeds {VALIDATION_SEED} and up), goal within 0.3 m "
            "in 60 s, under the safety shield unless a name says `unshielded`; `imitated_` is the network before PPO. "
            "The published BARN worlds are measured by `./axon bench policy-navigate`."
        ),
        limits=(
            "Trained for a base of 0.42 x 0.33 m with a planar scanner, in still worlds. It has no map and forgets "
            "what is farther than 4.8 m, so a long dead end can hold it for good. It does not keep clear of obstacles "
            "as well as the shield does: it must not drive without it. It does not turn to the goal's heading."
        ),
        metrics=metrics,
        details={
            "observation": CONTRACT,
            "input": [f"map uint8 (1, {', '.join(map(str, MAP_SHAPE))})", f"vector float32 (1, {VECTOR_SIZE})"],
            "output": "action float32 (1, 2): forward, turn; -1 .. 1",
        },
    )
