"""The container image of an endpoint for which none was given."""

from slowmo_pipeline.errors import SettingsError

_DJL_VERSION = "0.38.0"
"""Of djl-lmi; fixed, so that the same settings deploy the same image whatever release of the SDK looks it up."""


def djl_image(region: str) -> str:
    """The URI of AWS's image of DJL Serving in a region; nothing is asked of AWS.

    No image of AWS's carries TensorFlow: DJL Serving installs the package's requirements.txt whenever an instance
    starts, which takes minutes and a way out to the package index. An image of your own (deploy/serving) has it inside.
    Raises SettingsError when the region has none, or the SageMaker SDK is missing.
    """
    try:
        # Takes 5 seconds and 200 MB of memory, and this is all that the SDK is needed for.
        from sagemaker.core import image_uris
    except ImportError as error:
        raise SettingsError(
            f"Without image_uri the SageMaker SDK looks one up, and it cannot be loaded ({error}). Give the URI of "
            "your own image (deploy/serving), or pip install 'slowmo_pipeline[deploy]'."
        ) from error
    try:
        return str(image_uris.retrieve(framework="djl-lmi", region=region, version=_DJL_VERSION))
    except ValueError as error:
        raise SettingsError(f"No image of DJL Serving for {region}: {error} Give image_uri, best your own.") from error
