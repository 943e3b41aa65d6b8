"""A facility of the TOM Toolkit that submits Observing Blocks to `elvis serve`; FACILITIES["ELVIS"] has url and token.

Put it into a TOM and name it in settings.TOM_FACILITY_CLASSES. The payload of an observation is a block of ESO's p2, as
`elvis ob` reads it.
"""

from __future__ import annotations

import json
from typing import Any

import requests
from django import forms
from django.conf import settings
from tom_observations.facility import BaseRoboticObservationFacility, BaseRoboticObservationForm

STATES = {"queued": "PENDING", "running": "IN_PROGRESS", "made": "COMPLETED", "failed": "FAILED"}
SECONDS = 60


class ElvisForm(BaseRoboticObservationForm):
    """One template on the target."""

    template = forms.CharField(initial="MICADO_img_obs_AutoJitter")
    parameters = forms.JSONField(initial=dict)

    def observation_payload(self) -> dict[str, Any]:
        """Return the block."""
        target = self.get_target() if hasattr(self, "get_target") else self.cleaned_data["target"]
        return block(target.name, target.ra, target.dec, self.cleaned_data["template"], self.cleaned_data["parameters"])


def block(name: str, ra: float, dec: float, template: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return a block of one template; right ascension and declination in deg."""
    hours, degrees, sign = ra / 15.0, abs(dec), "-" if dec < 0 else "+"
    return {
        "itemType": "OB",
        "name": name,
        "target": {
            "name": name,
            "ra": f"{int(hours):02d}:{int(hours * 60) % 60:02d}:{hours * 3600 % 60:06.3f}",
            "dec": f"{sign}{int(degrees):02d}:{int(degrees * 60) % 60:02d}:{degrees * 3600 % 60:05.2f}",
        },
        "templates": [{"templateName": template, "parameters": parameters}],
    }


class ElvisFacility(BaseRoboticObservationFacility):
    """Observations with the simulated instruments."""

    name = "ELVIS"
    observation_forms = {"block": ElvisForm}  # noqa: RUF012

    def get_form(self, observation_type: str) -> type:
        """Return the form of an observation."""
        return ElvisForm

    def validate_observation(self, observation_payload: dict[str, Any]) -> dict[str, list[str]]:
        """Return what is wrong, by the place in the block; nothing if it can be observed."""
        answer = self._ask("POST", "/ob?check=true", observation_payload)
        if answer.ok:
            return {}
        problem = answer.json()
        return {problem.get("pointer") or "block": [problem["detail"]]}

    def submit_observation(self, observation_payload: dict[str, Any]) -> list[str]:
        """Return the id of the job."""
        answer = self._ask("POST", "/ob", observation_payload)
        answer.raise_for_status()
        return [answer.json()["id"]]

    def get_observation_url(self, observation_id: str) -> str:
        """Return the address of a job."""
        return f"{settings.FACILITIES['ELVIS']['url']}/jobs/{observation_id}"

    def get_observation_status(self, observation_id: str) -> dict[str, Any]:
        """Return the state of a job, its start and end."""
        job = self._ask("GET", f"/jobs/{observation_id}").json()
        return {"state": STATES[job["state"]], "scheduled_start": job["started"], "scheduled_end": job["ended"]}

    def get_terminal_observing_states(self) -> list[str]:
        """Return the states that do not change any more."""
        return ["COMPLETED", "FAILED", "CANCELED"]

    def data_products(self, observation_id: str, product_id: str | None = None) -> list[dict[str, Any]]:
        """Return the files of a job, or one of them."""
        job = self._ask("GET", f"/jobs/{observation_id}").json()
        root = settings.FACILITIES["ELVIS"]["url"]
        files = [
            {"id": file["sha256"], "filename": file["file"], "created": job["ended"], "url": root + file["url"]}
            for file in job["files"] if file["status"] == "made"
        ]  # fmt: skip
        return [file for file in files if product_id in (None, file["id"])]

    def cancel_observation(self, observation_id: str) -> bool:
        """Return whether a job was ended and its files deleted."""
        return self._ask("DELETE", f"/jobs/{observation_id}").ok

    def get_observing_sites(self) -> dict[str, dict[str, Any]]:
        """Return Paranal and Armazones."""
        paranal = {"sitecode": "paranal", "latitude": -24.6272, "longitude": -70.4048, "elevation": 2635}
        armazones = {"sitecode": "armazones", "latitude": -24.5893, "longitude": -70.1916, "elevation": 3046}
        return {"Paranal": paranal, "Armazones": armazones}

    def _ask(self, method: str, path: str, payload: dict[str, Any] | None = None) -> requests.Response:
        facility = settings.FACILITIES["ELVIS"]
        token = facility.get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = None if payload is None else json.dumps(payload)
        return requests.request(method, facility["url"] + path, data=body, headers=headers, timeout=SECONDS)
