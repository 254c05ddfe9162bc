"""Turns a study into runs and takes them to their end."""

from .callbacks import Callback as Callback
from .callbacks import RunInfo as RunInfo
from .drive import Progress as Progress
from .drive import drive as drive
from .executor import Executor as Executor
from .local import LocalExecutor as LocalExecutor
from .metric import with_checked_metric as with_checked_metric
from .outlook import Outlook as Outlook
from .plan import Plan as Plan
from .plan import check_networks as check_networks
from .plan import check_split as check_split
from .plan import make_plan as make_plan
from .plan import make_plan_on_each as make_plan_on_each
from .plan import recorded_plan as recorded_plan
from .pool import Pool as Pool
from .retrain import retrain_plan as retrain_plan
from .session import drive_plans as drive_plans
from .session import notes_of as notes_of
from .session import shown as shown
from .site import Site as Site
from .site import open_site as open_site
from .study_plans import plans as plans
