from .audit import (
    Settings as Settings,
)
from .audit import (
    assess_scores as assess_scores,
)
from .audit import (
    audit as audit,
)
from .audit import (
    calibrate as calibrate,
)
from .dataset import (
    Cohort as Cohort,
)
from .dataset import (
    read_cohort as read_cohort,
)
from .face import (
    encode_face as encode_face,
)
from .match import (
    compare_faces as compare_faces,
)
from .match import (
    read_scores as read_scores,
)
from .records import (
    AuditResult as AuditResult,
)
from .records import (
    CalibrationError as CalibrationError,
)
from .records import (
    Decision as Decision,
)
from .records import (
    EngineError as EngineError,
)
from .records import (
    Face as Face,
)
from .records import (
    Group as Group,
)
from .records import (
    InputError as InputError,
)
from .records import (
    Policy as Policy,
)
from .records import (
    Portrait as Portrait,
)
from .records import (
    Rate as Rate,
)
from .records import (
    ReidAuditError as ReidAuditError,
)
from .records import (
    RenderError as RenderError,
)
from .records import (
    ScanRef as ScanRef,
)
from .records import (
    Skin as Skin,
)
from .records import (
    Status as Status,
)
from .records import (
    StoreError as StoreError,
)
from .records import (
    View as View,
)
from .records import (
    Volume as Volume,
)
from .records import (
    WeightsError as WeightsError,
)
from .render import (
    find_frontal_view as find_frontal_view,
)
from .render import (
    render_portrait as render_portrait,
)
from .report import (
    read_result as read_result,
)
from .report import (
    write_result as write_result,
)
from .surface import (
    extract_skin as extract_skin,
)
from .volume import (
    read_volume as read_volume,
)
from .work import (
    cluster_executor as cluster_executor,
)
from .work import (
    local_executor as local_executor,
)

__version__: str
__all__: list[str]
